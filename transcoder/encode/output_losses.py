"""Differences of the renditions from their source, which the job's result names as warnings."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from pipeline.media.probe import SourceInfo
from transcoder.encode.filters import HDR_TRANSFERS, WIDE_PRIMARIES
from transcoder.encode.ladder import Rung

_STEREO_CHANNELS = 2
_MOST_DETAIL = 200
_FAULT = re.compile(r"\[([va])ist#.*?\] (?:\[dec:.*?\] )?((?:Error|Decoding error|corrupt).*)")
_SAME_RATE_SHARE = 0.02
_WITH_ALPHA = ("yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya")


class LossCode(StrEnum):
    """Codes of the warnings in a job's result."""

    SOUND_LEFT_OUT = "sound_left_out"
    SOUND_DOWNMIXED = "sound_downmixed"
    SOUND_TRACKS_DROPPED = "sound_tracks_dropped"
    PICTURE_TRACKS_DROPPED = "picture_tracks_dropped"
    SUBTITLES_DROPPED = "subtitles_dropped"
    RESOLUTION_LOWERED = "resolution_lowered"
    FRAME_RATE_LOWERED = "frame_rate_lowered"
    FRAMES_LOST = "frames_lost"
    HDR_CONVERTED = "hdr_converted"
    COLOURS_REDUCED = "colours_reduced"
    TRANSPARENCY_DROPPED = "transparency_dropped"
    PICTURE_CROPPED = "picture_cropped"
    PICTURE_FITTED = "picture_fitted"
    TIMING_MENDED = "timing_mended"
    LENGTH_DIFFERS = "length_differs"
    SOUND_CUT = "sound_cut"


@dataclass(frozen=True)
class OutputLoss:
    """A difference from the source.

    Attributes:
        detail: Figures or names, such as `120 to 60 frames a second`.
    """

    code: LossCode
    detail: str

    def to_json(self) -> Mapping[str, str]:
        """Return the warning as a job's result has it."""
        return {"code": self.code.value, "message": self.detail}


def planned_losses(
    info: SourceInfo, rungs: Sequence[Rung], rate: Fraction, sound_fault: str | None = None
) -> tuple[OutputLoss, ...]:
    """Name the differences that follow from the plan of an encode.

    Args:
        info: Result of the source's probe.
        rungs: The renditions, largest first.
        rate: Their constant frame rate.
        sound_fault: Reason for which the sound was left out; None if it is heard.
    """
    found = (*_sound_losses(info, sound_fault), *_picture_losses(info, rungs[0], rate))
    return tuple(OutputLoss(code, detail) for code, detail in found)


def decoding_losses(stderr: str) -> tuple[OutputLoss, ...]:
    """Name the losses that ffmpeg complained of in an encode that it ended well.

    Args:
        stderr: Its messages, each of which names its track: `vist` for picture, `aist` for sound.
    """
    codes = {"v": LossCode.FRAMES_LOST, "a": LossCode.SOUND_CUT}
    found = {codes[kind]: message.strip() for kind, message in _FAULT.findall(stderr)}
    return tuple(OutputLoss(code, message[:_MOST_DETAIL]) for code, message in found.items())


def _sound_losses(info: SourceInfo, fault: str | None) -> Iterator[tuple[LossCode, str]]:
    channels = info.audio_channels or 0
    if info.audio_codec is None and info.sound_tracks:
        yield LossCode.SOUND_LEFT_OUT, "no track of a known codec and up to 64 channels"
    elif fault is not None:
        yield LossCode.SOUND_LEFT_OUT, f"{info.audio_codec}: {fault}"
    elif channels > _STEREO_CHANNELS:
        named = f" ({info.audio_layout})" if info.audio_layout else ""
        yield LossCode.SOUND_DOWNMIXED, f"{channels} channels{named} to 2"
    if info.sound_tracks > 1:
        yield LossCode.SOUND_TRACKS_DROPPED, f"1 of {info.sound_tracks}"
    if info.subtitle_tracks:
        yield LossCode.SUBTITLES_DROPPED, f"{info.subtitle_tracks}"


def _picture_losses(info: SourceInfo, top: Rung, rate: Fraction) -> Iterator[tuple[LossCode, str]]:
    if info.picture_tracks > 1:
        yield LossCode.PICTURE_TRACKS_DROPPED, f"1 of {info.picture_tracks}"
    # One pixel less makes an odd side even.
    if min(top.width, top.height) < min(info.width, info.height) - 1:
        size = f"{info.width}x{info.height} to {top.width}x{top.height}"
        yield LossCode.RESOLUTION_LOWERED, size
    own = Fraction(info.frame_rate)
    if rate < own * (1 - Fraction(_SAME_RATE_SHARE)):
        yield LossCode.FRAME_RATE_LOWERED, f"{float(own):g} to {float(rate):g} frames a second"
    if info.color_transfer in HDR_TRANSFERS:
        yield LossCode.HDR_CONVERTED, f"{info.color_transfer} to bt709"
    elif info.color_primaries in WIDE_PRIMARIES:
        yield LossCode.COLOURS_REDUCED, f"{info.color_primaries} to bt709"
    if info.pixel_format.startswith(_WITH_ALPHA):
        yield LossCode.TRANSPARENCY_DROPPED, info.pixel_format
