"""Differences of outputs from their source that the manifest shows, at any provider."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from pipeline.domain.output_warnings import OutputWarning, WarningCode
from pipeline.media.playlist import Master
from pipeline.media.source_info import SourceInfo

HDR = frozenset({"smpte2084", "arib-std-b67"})
"""PQ and HLG, by the names of ffprobe."""
SOUND_CODECS = ("mp4a", "ac-3", "ec-3", "opus", "flac", "alac", "dtsc", "mp3")
STEREO = 2
_SAME = 0.98
"""Share of a rate or a side that counts as the whole: encoders round to even pixels."""


def seen_losses(source: Mapping[str, Any] | None, master: Master | None) -> list[OutputWarning]:
    """Name the differences between a measured source and a manifest.

    Nothing is said of what a manifest leaves open, such as variants without codecs.

    Args:
        source: ``SourceInfo`` as an asset's row has it.
        master: The manifest of the outputs.
    """
    if source is None or master is None:
        return []
    info = SourceInfo.from_json(source)
    found = (*_picture(info, master), *_sound(info, master))
    return [OutputWarning(code, detail) for code, detail in found]


def _picture(info: SourceInfo, master: Master) -> Iterator[tuple[WarningCode, str]]:
    sizes = [(v.width, v.height) for v in master.variants if v.width and v.height]
    if sizes and (size := max(sizes, key=min)) and min(size) < _SAME * min(info.width, info.height):
        detail = f"{info.width}x{info.height} to {size[0]}x{size[1]}"
        yield WarningCode.RESOLUTION_LOWERED, detail
    rate = max((v.frame_rate or 0 for v in master.variants), default=0)
    own = float(Fraction(info.frame_rate))
    if 0 < rate < _SAME * own:
        yield WarningCode.FRAME_RATE_LOWERED, f"{own:g} to {rate:g} frames a second"
    ranges = {v.video_range or "SDR" for v in master.variants}
    if info.color_transfer in HDR and ranges == {"SDR"}:
        yield WarningCode.HDR_CONVERTED, f"{info.color_transfer} to SDR"
    if info.subtitle_tracks > len(master.subtitles):
        detail = f"{len(master.subtitles)} of {info.subtitle_tracks}"
        yield WarningCode.SUBTITLES_DROPPED, detail


def _sound(info: SourceInfo, master: Master) -> Iterator[tuple[WarningCode, str]]:
    if info.audio_codec is None:
        return
    codecs = [v.codecs.lower() for v in master.variants if v.codecs]
    is_silent = codecs and not any(name in each for each in codecs for name in SOUND_CODECS)
    if is_silent and not master.sounds:
        yield WarningCode.SOUND_LEFT_OUT, f"{info.audio_codec} to none"
        return
    channels = max((sound.channels or 0 for sound in master.sounds), default=0)
    if (info.audio_channels or 0) > STEREO >= channels:
        yield WarningCode.SOUND_DOWNMIXED, f"{info.audio_channels} channels to {channels or STEREO}"
    if info.sound_tracks > max(1, len({sound.label for sound in master.sounds})):
        yield WarningCode.SOUND_TRACKS_DROPPED, f"of {info.sound_tracks}"
