"""Storyboard: small pictures along the timeline, for finding a scene in a video.

A storyboard is one sheet of pictures, and WebVTT cues that give the part of the sheet for each span
of seconds. The source of the pictures is the smallest finished rendition: its frames are upright,
evenly timed and in the final colours, and its duration is measured. A separate ffmpeg run draws
them, so that a failure costs no video. For a long video it decodes key frames only, one frame in
fifty, and costs 0.3 % of the encode's processor time. For a short video it decodes every frame and
costs 1 to 2 % (docs/benchmarks.md).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from transcoder.encode.encode_command import GOP_SEC
from transcoder.encode.ffmpeg_arguments import (
    ffmpeg_prefix,
    jpeg_output,
    jpeg_scale,
    rendition_input,
)
from transcoder.encode.ladder import nearest_even

SHEET = "storyboard.jpg"
CUES = "storyboard.vtt"

MAX_TILES = 100
MAX_SIDE = 160
COLUMNS = 10

_JPEG_QUALITY = 5
"""A full sheet has about 350 kB, and one of pure noise, the worst case, less than 2 MiB."""

_READ_SPEED = 60
"""Lower bound of the seconds of video that are read in one second; a slow core reads 400."""


@dataclass(frozen=True)
class Tile:
    """Picture of a span of seconds, with its position in the sheet in pixels."""

    start_sec: float
    end_sec: float
    x: int
    y: int


@dataclass(frozen=True)
class StoryboardPlan:
    """Layout of a sheet.

    Attributes:
        duration_sec: Duration of the video.
        interval_sec: Seconds of each tile but the last, which has the rest: between half and one
            and a half of them.
        count: Number of tiles, in rows from the top left.
        tile_width: Pixels.
        tile_height: Pixels.
    """

    duration_sec: float
    interval_sec: int
    count: int
    tile_width: int
    tile_height: int

    @property
    def columns(self) -> int:
        """Number of tiles in a row."""
        return min(self.count, COLUMNS)

    @property
    def rows(self) -> int:
        """Number of rows; the last one may have fewer tiles."""
        return math.ceil(self.count / self.columns)

    def tiles(self) -> Iterator[Tile]:
        """Yield every tile, in order of time."""
        for number in range(self.count):
            row, column = divmod(number, self.columns)
            last = number + 1 == self.count
            yield Tile(
                start_sec=number * self.interval_sec,
                end_sec=self.duration_sec if last else (number + 1) * self.interval_sec,
                x=column * self.tile_width,
                y=row * self.tile_height,
            )


def plan_storyboard(duration_sec: float, width: int, height: int) -> StoryboardPlan:
    """Choose interval and size of a video's tiles, so that any sheet has at most `MAX_TILES`.

    Args:
        duration_sec: Measured duration of the video.
        width: Pixels of the rendition that the tiles are drawn from; tiles are never larger.
        height: Pixels of the same rendition.

    Returns:
        One tile a second if at most `MAX_TILES` result; else one tile for a number of whole GOPs,
        so that only key frames have to be decoded.
    """
    interval_sec = 1
    if round(duration_sec) > MAX_TILES:
        interval_sec = GOP_SEC * math.ceil(duration_sec / (GOP_SEC * MAX_TILES))
    scale = min(1.0, MAX_SIDE / max(width, height))
    return StoryboardPlan(
        duration_sec=duration_sec,
        interval_sec=interval_sec,
        count=max(1, round(duration_sec / interval_sec)),
        tile_width=nearest_even(width * scale),
        tile_height=nearest_even(height * scale),
    )


def sheet_command(rendition: Path, board: StoryboardPlan, *, ffmpeg: str, into: Path) -> list[str]:
    """Build the command that draws the sheet from a rendition's folder.

    A tile is the last frame before the middle of its seconds.
    """
    key_frames = ["-skip_frame", "nokey"] if board.interval_sec % GOP_SEC == 0 else []
    steps = [
        # Without `pass`, a video shorter than half an interval would have no frame.
        f"fps=fps=1/{board.interval_sec}:start_time=0:round=near:eof_action=pass",
        *jpeg_scale(board.tile_width, board.tile_height),
        f"tile={board.columns}x{board.rows}:nb_frames={board.count}",
    ]
    return [
        *ffmpeg_prefix(ffmpeg),
        *key_frames,
        *rendition_input(rendition),
        *("-map", "0:v:0", "-vf", ",".join(steps)),
        *jpeg_output(into, quality=_JPEG_QUALITY),
    ]


def storyboard_silence_sec(duration_sec: float) -> float:
    """Return the extra seconds that this run may report nothing: it has no output until its end."""
    return duration_sec / _READ_SPEED


def storyboard_cues(board: StoryboardPlan) -> str:
    """Write the WebVTT file that lies beside the sheet (W3C WebVTT; Media Fragments URI 1.0)."""
    blocks = ["WEBVTT"]
    for tile in board.tiles():
        place = f"{tile.x},{tile.y},{board.tile_width},{board.tile_height}"
        times = f"{_timestamp(tile.start_sec)} --> {_timestamp(tile.end_sec)}"
        blocks.append(f"{times}\n{SHEET}#xywh={place}")
    return "\n\n".join(blocks) + "\n"


def _timestamp(seconds: float) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds / 1000:06.3f}"
