"""Measurements of a finished rendition, read from its files and not from the encode's settings."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

from pipeline.media.boxes import walk_file
from pipeline.media.child_process import ChildTimedOut, ChildTooLoud, run_child
from pipeline.media.confinement import PROBE, Reach
from pipeline.media.playlist import PlaylistInvalid, parse_media
from pipeline.media.source_limits import MediaRefused, Refusal
from pipeline.media.tools import Tools
from transcoder.encode.codecs import InitSegmentUnreadable, codecs_of
from transcoder.encode.encode_command import INIT_SEGMENT
from transcoder.encode.encode_errors import EncodeFailed
from transcoder.encode.ffmpeg_arguments import PLAYLIST, rendition_input

_PROBE_TIMEOUT_SEC = 60
_PROBE_OUTPUT_BYTES = 65_536


@dataclass(frozen=True)
class MeasuredRendition:
    """Measurements of one finished rendition.

    Attributes:
        profile: Name of its profile and of its folder.
        width: Pixels.
        height: Pixels.
        frame_rate: Frames a second.
        bandwidth_bps: Peak segment bitrate, see `peak_bps`.
        average_bandwidth_bps: All bits divided by all seconds.
        codecs: RFC 6381, such as `avc1.64001F,mp4a.40.2`.
        duration_sec: Sum of the segments' durations.
    """

    profile: str
    width: int
    height: int
    frame_rate: Fraction
    bandwidth_bps: int
    average_bandwidth_bps: int
    codecs: str
    duration_sec: float


def measure_rendition(folder: Path, tools: Tools) -> MeasuredRendition:
    """Measure the rendition in `folder`, which is named after its profile.

    Raises:
        EncodeFailed: `encoder_failed`; the files cannot be read back.
    """
    try:
        playlist = parse_media((folder / PLAYLIST).read_text())
        codecs = codecs_of((folder / INIT_SEGMENT).read_bytes())
        for segment in playlist.segments:
            check_segment_whole(folder / segment.uri)
    except (PlaylistInvalid, InitSegmentUnreadable, MediaRefused) as error:
        raise _unreadable(folder) from error
    if not playlist.ended:
        raise _unreadable(folder)
    pieces = [
        ((folder / segment.uri).stat().st_size, segment.duration_sec)
        for segment in playlist.segments
    ]
    stream = _video_stream(folder, tools)
    total_bits = 8 * sum(size for size, _ in pieces)
    return MeasuredRendition(
        profile=folder.name,
        width=int(stream["width"]),
        height=int(stream["height"]),
        frame_rate=_frame_rate(stream["avg_frame_rate"], playlist.duration_sec),
        bandwidth_bps=peak_bps(pieces, playlist.target_duration_sec),
        average_bandwidth_bps=round(total_bits / playlist.duration_sec),
        codecs=codecs,
        duration_sec=playlist.duration_sec,
    )


def check_segment_whole(segment: Path) -> None:
    """Check that a segment was written to its end, which the muxer does not check.

    Raises:
        MediaRefused: Its last box is cut off, or is no `mdat`.
    """
    boxes = walk_file(segment)
    if not boxes or boxes[-1].type != "mdat":
        raise MediaRefused(Refusal.SOURCE_CORRUPT, f"{segment.name} was not written to its end.")


ROUNDING_SEC = 1e-6
"""Error of a difference of summed durations; a segment of exactly half a target must count."""


def peak_bps(segments: Sequence[tuple[int, float]], target_duration_sec: float) -> int:
    """Compute the peak segment bitrate of RFC 8216 §4.1, in bits per second, rounded up.

    It is the largest bitrate of any contiguous set of segments that lasts between half and one
    and a half target durations. A short last segment therefore counts only together with its
    predecessors: alone, its one key frame would look like a peak that no player meets.

    Args:
        segments: (bytes, seconds) of each, in order.
        target_duration_sec: The playlist's target duration.
    """
    shortest = 0.5 * target_duration_sec - ROUNDING_SEC
    longest = 1.5 * target_duration_sec + ROUNDING_SEC
    sizes = [0, *accumulate(size for size, _ in segments)]
    ends = [0.0, *accumulate(duration for _, duration in segments)]
    runs = [
        (sizes[last] - sizes[first], ends[last] - ends[first])
        for first in range(len(segments))
        for last in range(first + 1, min(first + 8, len(segments)) + 1)
    ]
    rates = [size * 8 / length for size, length in runs if shortest <= length <= longest]
    return math.ceil(max(rates, default=sizes[-1] * 8 / ends[-1]))


def _frame_rate(average: str, duration_sec: float) -> Fraction:
    """Parse ffprobe's rate; a single frame has none and is shown for the whole duration."""
    if average == "0/0":
        return Fraction(1 / duration_sec).limit_denominator(1001)
    return Fraction(average)


def _video_stream(folder: Path, tools: Tools) -> dict[str, str]:
    command = [tools.ffprobe, "-v", "error", "-of", "json", "-select_streams", "v:0"]
    command += ["-show_entries", "stream=width,height,avg_frame_rate", *rendition_input(folder)]
    try:
        done = run_child(
            command,
            PROBE,
            Reach(reads=(folder,)),
            timeout_sec=_PROBE_TIMEOUT_SEC,
            max_output_bytes=_PROBE_OUTPUT_BYTES,
        )
    except (ChildTimedOut, ChildTooLoud) as error:
        raise _unreadable(folder) from error
    streams = json.loads(done.stdout or b"{}").get("streams", [])
    if done.returncode != 0 or not streams:
        raise _unreadable(folder)
    stream: dict[str, str] = streams[0]
    return stream


def _unreadable(folder: Path) -> EncodeFailed:
    detail = f"The {folder.name} rendition cannot be read back."
    return EncodeFailed("encoder_failed", detail, retryable=True)
