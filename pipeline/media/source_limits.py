"""Limits of a source, and the codes of its refusal."""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from pipeline.media.source_info import SourceInfo


class Refusal(StrEnum):
    """Why a source will never be processed; retrying the same bytes cannot help."""

    UNSUPPORTED_MEDIA = "unsupported_media"  # not a container or codec we accept
    SOURCE_TOO_LARGE = "source_too_large"  # too many bytes, or too many pixels a frame
    SOURCE_TOO_LONG = "source_too_long"
    SOURCE_CORRUPT = "source_corrupt"  # the right container, but broken or cut off
    SOURCE_EMPTY = "source_empty"
    NO_VIDEO_STREAM = "no_video_stream"  # sound only; cover art does not count


class MediaRefused(Exception):
    """The media is not acceptable, whoever asks and however often.

    Attributes:
        code: one of `Refusal`, for machines.
        detail: one sentence for people, without paths or addresses.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = Refusal(code)
        self.detail = detail


DEFAULT_MAX_FRAMES = 4 * 3600 * 120
"""The longest video at the highest rate that hours are recorded at; slow motion is shot in minutes.
Work goes by the frame: within length and rate alone, a source could cost eight times as much."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The largest source that is accepted; a value equal to its limit passes."""

    max_bytes: int
    max_duration_sec: float
    max_pixels: int = 8192 * 4320  # of one stored frame, 8K: a decoder allocates a dozen of them
    max_streams: int = 32  # broadcast masters carry 16 of sound; thousands are an attack
    max_side: int = 16_384  # of a frame, stored or shown; H.264 and x264 go no further
    max_frame_rate: int = 1000  # slow-motion cameras reach 960; above it is a broken clock
    max_audio_channels: int = 32  # 22.2 surround has 24
    max_frames: int = DEFAULT_MAX_FRAMES


def check_limits(info: SourceInfo, limits: Limits) -> None:
    """Refuse a source that is over one of the limits.

    Raises:
        MediaRefused: `source_too_large`, `source_too_long` or `unsupported_media`.
    """
    if info.size_bytes > limits.max_bytes:
        raise MediaRefused(
            Refusal.SOURCE_TOO_LARGE,
            f"The file has {info.size_bytes} bytes; at most {limits.max_bytes} are accepted.",
        )
    if info.duration_sec > limits.max_duration_sec:
        raise MediaRefused(
            Refusal.SOURCE_TOO_LONG,
            f"The video is {info.duration_sec:.1f} s long; "
            f"at most {limits.max_duration_sec:.0f} s are accepted.",
        )
    pixels = info.coded_width * info.coded_height
    if pixels > limits.max_pixels:
        raise MediaRefused(
            Refusal.SOURCE_TOO_LARGE,
            f"A frame has {info.coded_width}x{info.coded_height} pixels; "
            f"at most {limits.max_pixels} in all are accepted.",
        )
    _check_shape(info, limits)
    if info.frame_count > limits.max_frames:
        raise MediaRefused(
            Refusal.SOURCE_TOO_LONG,
            f"The video has {info.frame_count} frames; at most {limits.max_frames} are accepted.",
        )


def _check_shape(info: SourceInfo, limits: Limits) -> None:
    """Refuse what no camera makes, though it is small: it would be large once decoded."""
    # As shown, too: pixels of 65535:1 make a picture of one column a very wide one.
    longest = max(info.coded_width, info.coded_height, info.width, info.height)
    bounds = (
        (longest, limits.max_side, "pixels on its longer side"),
        (info.stream_count, limits.max_streams, "streams"),
        (Fraction(info.frame_rate), limits.max_frame_rate, "frames a second"),
        (info.audio_channels or 0, limits.max_audio_channels, "channels of sound"),
    )
    for found, most, what in bounds:
        if found > most:
            raise MediaRefused(
                Refusal.UNSUPPORTED_MEDIA,
                f"The file has {float(found):g} {what}; at most {most} are accepted.",
            )
