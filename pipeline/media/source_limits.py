"""Limits of a source and the codes of its refusal."""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from pipeline.media.source_info import SourceInfo


class Refusal(StrEnum):
    """Permanent reason to refuse a source; a retry with the same bytes cannot succeed."""

    UNSUPPORTED_MEDIA = "unsupported_media"  # not a container that we accept
    UNDECODABLE = "undecodable"  # whole, in a codec or a form that this build cannot decode
    SOURCE_ENCRYPTED = "source_encrypted"
    SOURCE_UNUSUAL = "source_unusual"  # too many tracks or frames a second, or too long a side
    SOURCE_UNMEASURABLE = "source_unmeasurable"  # the measurement met one of its bounds
    SOURCE_TOO_LARGE = "source_too_large"  # too many bytes, or too many pixels a frame
    SOURCE_TOO_LONG = "source_too_long"
    SOURCE_CORRUPT = "source_corrupt"  # data is missing or unreadable
    SOURCE_EMPTY = "source_empty"
    NO_VIDEO_STREAM = "no_video_stream"  # sound only; cover art does not count


OF_TOOLS = frozenset(
    {
        Refusal.SOURCE_CORRUPT,
        Refusal.SOURCE_UNMEASURABLE,
        Refusal.UNDECODABLE,
        Refusal.NO_VIDEO_STREAM,
    }
)
"""Refusals that a machine whose ffmpeg or ffprobe does not work would cause, too."""


class MediaRefused(Exception):
    """The media is not acceptable; every retry would be refused as well.

    Attributes:
        code: reason of the refusal, for machines.
        detail: one sentence for people, without paths or addresses.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = Refusal(code)
        self.detail = detail


DEFAULT_MAX_FRAMES = 4 * 3600 * 120
"""Four hours at 120 frames a second, the highest rate of long recordings; slow-motion recordings
last minutes. The work grows with the frames: the limits of length and rate alone would allow eight
times as much."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of an accepted source; a value equal to its limit passes."""

    max_bytes: int
    max_duration_sec: float
    max_pixels: int = 8192 * 4320  # of a stored frame, 8K; a decoder allocates a dozen frames
    max_streams: int = 32  # broadcast masters have 16 audio streams; thousands are an attack
    max_side: int = 16_384  # of a frame, stored or shown; the limit of H.264 and x264
    max_frame_rate: int = 1000  # slow-motion cameras reach 960; a higher rate is a broken clock
    max_frames: int = DEFAULT_MAX_FRAMES


def check_limits(info: SourceInfo, limits: Limits) -> None:
    """Refuse a source that exceeds a limit.

    Raises:
        MediaRefused: `source_too_large`, `source_too_long` or `source_unusual`.
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
    """Refuse a shape that no camera makes: a small file could become large by decoding."""
    # The shown size counts too: pixels of 65535:1 make a picture of one column very wide.
    longest = max(info.coded_width, info.coded_height, info.width, info.height)
    bounds = (
        (longest, limits.max_side, "pixels on its longer side"),
        (info.stream_count, limits.max_streams, "streams"),
        (Fraction(info.frame_rate), limits.max_frame_rate, "frames a second"),
    )
    for found, most, unit in bounds:
        if found > most:
            raise MediaRefused(
                Refusal.SOURCE_UNUSUAL,
                f"The file has {float(found):g} {unit}; at most {most} are accepted.",
            )
