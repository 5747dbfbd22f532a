"""What is known of a source video once it has been measured."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from fractions import Fraction
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class SourceInfo:
    """The facts of one source, measured from its content and never from its name.

    They describe the first video stream that is not cover art (`0:V:0` to ffmpeg) and the first
    audio stream (`0:a:0`); an encoder maps the same two.
    """

    container: str  # mp4, mov, webm, matroska, mpegts, avi, flv, mpeg or ogg
    size_bytes: int
    duration_sec: float  # of the longest stream
    stream_count: int  # of every kind, cover art and data included
    width: int  # as displayed: rotated upright, pixels square; may be odd
    height: int
    coded_width: int  # as stored
    coded_height: int
    rotation: int  # clockwise degrees that bring the stored picture upright: 0, 90, 180, 270
    sample_aspect_ratio: str  # "1:1" when pixels are square or nothing is said
    frame_rate: str  # an exact fraction such as "24000/1001"; the average where it varies
    variable_frame_rate: bool
    interlaced: bool
    video_codec: str  # ffmpeg's names: h264, hevc, vp9, av1, prores, …
    video_profile: str | None
    pixel_format: str
    bit_depth: int
    color_transfer: str | None  # smpte2084 (PQ) and arib-std-b67 (HLG) are HDR
    color_primaries: str | None
    color_space: str | None
    audio_codec: str | None
    audio_channels: int | None
    audio_start_sec: float  # after the container's first timestamp; 0 without audio
    video_start_sec: float
    bit_rate_bps: int  # of the whole file
    indexed_frames: int = 0  # as many as the file says it has; 0 where it says nothing

    @property
    def frame_count(self) -> int:
        """How many frames there are to decode, by the larger of what the file says and lasts."""
        return max(
            self.indexed_frames, round(Fraction(self.frame_rate) * Fraction(self.duration_sec))
        )

    def to_json(self) -> dict[str, Any]:
        """The same facts as plain JSON values, one key a field."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; keys of a later version are passed over.

        Raises:
            KeyError: a field is missing that has been there from the first version.
        """
        known = [f.name for f in fields(cls) if f.name in data or f.default is MISSING]
        return cls(**{name: data[name] for name in known})


@dataclass(frozen=True)
class Measured:
    """A source as it was found: its streams, its size, and its ETag where it has one."""

    info: SourceInfo
    size_bytes: int
    etag: str | None
