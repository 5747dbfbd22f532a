"""Facts of a measured source video."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from fractions import Fraction
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class SourceInfo:
    """The facts of one source, measured from its content and never from its name.

    The first video stream that is not cover art (`0:V:0` in ffmpeg) and the chosen audio stream
    (`0:a:{audio_index}`) are measured; an encoder maps the same two.
    """

    container: str  # mp4, mov, webm, matroska, mpegts, avi, flv, mpeg or ogg
    size_bytes: int
    duration_sec: float  # declared, of the picture or its sound, the longer of the two
    stream_count: int  # streams of every kind, cover art and data included
    width: int  # as displayed: rotated upright, pixels square; may be odd
    height: int
    coded_width: int  # as stored
    coded_height: int
    rotation: int  # clockwise degrees that bring the stored picture upright: 0, 90, 180, 270
    sample_aspect_ratio: str  # "1:1" also if the file does not name it
    frame_rate: str  # an exact fraction such as "24000/1001"; the average of a variable rate
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
    indexed_frames: int = 0  # number of frames in the file's index; 0 without one
    audio_index: int = 0  # among the sound tracks
    audio_layout: str | None = None  # ffmpeg's name, such as "5.1"; None if unlabelled
    sound_tracks: int = 0  # 0 also for a source that was measured before tracks were counted
    picture_tracks: int = 0  # cover art excluded
    subtitle_tracks: int = 0
    cropped_width: int = 0  # pixels of the stored width that the container cuts off
    cropped_height: int = 0

    @property
    def frame_count(self) -> int:
        """Number of frames to decode: the larger of the index's and rate times duration."""
        return max(
            self.indexed_frames, round(Fraction(self.frame_rate) * Fraction(self.duration_sec))
        )

    def to_json(self) -> dict[str, Any]:
        """Return the facts as plain JSON values, one key a field."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read the output of `to_json`; keys of a later version are ignored.

        Raises:
            KeyError: a field of the first version is missing.
        """
        known = [f.name for f in fields(cls) if f.name in data or f.default is MISSING]
        return cls(**{name: data[name] for name in known})


@dataclass(frozen=True)
class Measured:
    """A measured source: the facts of its streams, its size, and its ETag if it has one."""

    info: SourceInfo
    size_bytes: int
    etag: str | None
