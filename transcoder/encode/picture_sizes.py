"""Sizes of a source's picture over its length, measured from its decoded key frames.

A recorded call changes its picture when a phone is turned or the link gets better, and the
container declares only one size. All pictures are fitted into one frame. Key frames are about one
frame in fifty, so this costs little beside an encode.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from pipeline.media.confinement import Reach
from pipeline.media.probe import SourceInfo
from pipeline.media.tools import Tools
from transcoder.encode.encode_command import MAX_FRAME_PIXELS
from transcoder.encode.encode_limits import encode_confinement
from transcoder.encode.ffmpeg_arguments import local_input
from transcoder.encode.ffmpeg_process import watch_process
from transcoder.encode.source_ends import SourceEnds

RESIZES_ANY_FRAME = frozenset({"vp8", "vp9", "av1"})
"""Codecs whose frames may change their size without a key frame; key frames do not show all."""

_SAME_SHAPE = 0.02
"""Difference of two aspect ratios that is no other shape: sizes are rounded to whole blocks."""
_MAX_KEY_FRAMES = 20_000
_MAX_SHAPES = 50
_MAX_KEY_SHARE = 0.25
"""A source of key frames alone is not measured, because that would be a second decode of it."""


@dataclass(frozen=True)
class PictureSizes:
    """Sizes of a source's picture.

    Attributes:
        width: Width of the frame that all pictures are fitted into: upright, with square pixels.
        height: Height of the frame.
        count: Number of sizes that were seen.
        may_change: True if the picture may change its size in mid-stream.
        pixel_shapes: Begin and sample aspect ratio of each stretch of a picture whose pixels change
            their shape, as at a switch from 4:3 to 16:9; empty for one shape. ffmpeg keeps the
            first one.
    """

    width: int
    height: int
    count: int
    may_change: bool
    pixel_shapes: tuple[tuple[float, Fraction], ...] = ()


Size = tuple[int, int]
"""Width and height of a picture: upright, with square pixels."""


def read_picture_sizes(
    source: Path,
    info: SourceInfo,
    ends: SourceEnds,
    tools: Tools,
    *,
    cancelled: Callable[[], bool],
    stall_sec: float,
    clock: Callable[[], float] = time.monotonic,
) -> PictureSizes:
    """Decode the key frames of a source's picture and choose the frame of the outputs.

    Args:
        source: A local file.
        info: Result of its probe.
        ends: Measurements of its packets.
        tools: Path of ffprobe.
        cancelled: Called at every tick, about twice a second; True stops the run.
        stall_sec: Seconds that ffprobe may print nothing.
        clock: Monotonic seconds.

    Raises:
        EncodeCancelled: `cancelled` returned True.
        EncodeFailed: `stalled`.
    """
    if len(ends.keys_sec) > min(_MAX_KEY_FRAMES, max(250, _MAX_KEY_SHARE * ends.pictures)):
        return PictureSizes(info.width, info.height, 1, may_change=True)
    command = [tools.ffprobe, "-v", "quiet", "-skip_frame", "nokey"]
    command += ["-max_pixels", str(MAX_FRAME_PIXELS)]
    command += [*local_input(source, container=info.container), "-select_streams", "V:0"]
    command += ["-show_entries", _ENTRIES, "-of", "csv"]
    tally = _Tally(info)
    watch_process(
        command,
        encode_confinement(info),
        Reach(reads=(source,)),
        tally.feed,
        cancelled=cancelled,
        stall_sec=stall_sec,
        stalled="Measuring the picture produced nothing new",
        clock=clock,
    )
    sizes = choose_frame(info, tally.sizes, ends)
    return replace(sizes, pixel_shapes=_pixel_shapes(tally.shapes, ends))


def _pixel_shapes(
    shapes: Sequence[Fraction], ends: SourceEnds
) -> tuple[tuple[float, Fraction], ...]:
    if len(set(shapes)) < 2 or len(shapes) != len(ends.keys_sec):  # noqa: PLR2004 - one shape
        return ()
    runs = groupby(zip(ends.keys_sec, shapes, strict=True), key=itemgetter(1))
    begins = tuple(next(run) for _, run in runs)
    return begins if len(begins) <= _MAX_SHAPES else ()


_ENTRIES = "frame=width,height,sample_aspect_ratio"


class _Tally:
    """Parser of ffprobe's CSV of frames, in chunks cut anywhere."""

    def __init__(self, info: SourceInfo) -> None:
        self._info = info
        self._rest = b""
        self.sizes: list[Size] = []
        self.shapes: list[Fraction] = []

    def feed(self, chunk: bytes) -> bool:
        """Take the next chunk; return False for an empty one."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            section, *values = line.decode("ascii", "replace").strip().split(",")
            if section == "frame" and len(values) >= len(_ENTRIES.split(",")):
                self._take(*values[:3])
        return bool(chunk)

    def _take(self, width: str, height: str, aspect: str) -> None:
        try:
            self.sizes.append(shown_size(self._info, int(width), int(height), aspect))
        except ValueError:  # N/A: a frame without a size
            return
        self.shapes.append(_ratio(aspect))


def shown_size(info: SourceInfo, width: int, height: int, aspect: str) -> Size:
    """Return the size of a decoded frame as it is shown: square pixels, upright.

    Raises:
        ValueError: The frame has no size.
    """
    width, height = width - info.cropped_width, height - info.cropped_height
    if width <= 0 or height <= 0:
        raise ValueError(f"{width}x{height}")
    squared = max(1, round(width * _ratio(aspect)))
    return (height, squared) if info.rotation in (90, 270) else (squared, height)


def _ratio(aspect: str) -> Fraction:
    try:
        ratio = Fraction(aspect.replace(":", "/"))
    except (ValueError, ZeroDivisionError):  # N/A
        return Fraction(1)
    return ratio if ratio > 0 else Fraction(1)


def choose_frame(info: SourceInfo, sizes: Sequence[Size], ends: SourceEnds) -> PictureSizes:
    """Choose the frame that all pictures are fitted into.

    It has the shape that is shown longest, at the largest of its sizes: a call that begins with a
    small picture is not kept small, and one that is held upright for a moment stays wide.

    Args:
        info: Facts of the source.
        sizes: Sizes of its key frames, in order.
        ends: Measurements of its packets.
    """
    resizes = info.video_codec in RESIZES_ANY_FRAME
    if len(set(sizes)) < 2:  # noqa: PLR2004 - one size, or none that could be decoded
        return PictureSizes(info.width, info.height, 1, may_change=resizes)
    spans = _spans(sizes, ends)
    longest = max(spans, key=lambda size: sum(spans[s] for s in spans if _same_shape(size, s)))
    alike = [size for size in spans if _same_shape(longest, size)]
    width, height = max(alike, key=lambda size: size[0] * size[1])
    return PictureSizes(width, height, len(spans), may_change=True)


def _spans(sizes: Sequence[Size], ends: SourceEnds) -> dict[Size, float]:
    """Sum the seconds of each size, in the order in which they appear.

    Every key frame counts the same if some of them could not be decoded.
    """
    begins = ends.keys_sec if len(ends.keys_sec) == len(sizes) else range(len(sizes))
    until = [*begins[1:], ends.picture_sec if begins is ends.keys_sec else len(sizes)]
    spans: dict[Size, float] = {}
    for size, begin, end in zip(sizes, begins, until, strict=True):
        spans[size] = spans.get(size, 0.0) + round(max(0.0, end - begin), 1)
    return spans


def _same_shape(one: Size, other: Size) -> bool:
    return abs(one[0] * other[1] / (one[1] * other[0]) - 1) <= _SAME_SHAPE
