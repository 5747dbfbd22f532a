"""The storyboard: small pictures along the timeline, for whoever looks for a place in a video.

One sheet of them, and WebVTT cues that say which part of the sheet shows which seconds. Drawn from
the smallest finished rendition, whose pictures are upright, evenly timed and in the colours that
viewers see, and whose duration is measured: a run of its own, so that its trouble costs nobody a
video. A long video's is drawn from its key frames alone, one frame in fifty, for 0.3 % of the
encode's processor time; that of a short one takes every frame, and 1 to 2 % (docs/benchmarks.md).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from transcoder.encode.encode_command import GOP_SEC, PLAYLIST

SHEET = "storyboard.jpg"
CUES = "storyboard.vtt"

MAX_TILES = 100
MAX_SIDE = 160
COLUMNS = 10

_JPEG_QUALITY = "5"
"""Of ffmpeg's 2 to 31. A full sheet is some 350 kB; of nothing but noise, the worst there is, it
stays under 2 MiB."""

_READ_SPEED = 60
"""Seconds of video read in one second, at the least: 400 on a slow core."""


@dataclass(frozen=True)
class Tile:
    """One picture: which seconds it stands for, and its place in the sheet in pixels."""

    start_sec: float
    end_sec: float
    x: int
    y: int


@dataclass(frozen=True)
class StoryboardPlan:
    """What a sheet holds.

    Attributes:
        duration_sec: Of the video.
        interval_sec: For how long each tile stands; the last one for whatever is left, which is
            between half and one and a half of it.
        count: How many tiles, in rows from the top left.
        tile_width: Pixels across.
        tile_height: Pixels down.
    """

    duration_sec: float
    interval_sec: int
    count: int
    tile_width: int
    tile_height: int

    @property
    def columns(self) -> int:
        """How many tiles the sheet has across."""
        return min(self.count, COLUMNS)

    @property
    def rows(self) -> int:
        """How many tiles it has down; the last row may end early."""
        return math.ceil(self.count / self.columns)

    def tiles(self) -> Iterator[Tile]:
        """Every tile, in order of time."""
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
        duration_sec: As measured.
        width: Of the rendition it is drawn from, in pixels; tiles are never larger.
        height: Likewise.

    Returns:
        A tile a second where they suffice; else one every so many whole GOPs, whose key frames
        then are all that has to be decoded.
    """
    interval_sec = 1
    if round(duration_sec) > MAX_TILES:
        interval_sec = GOP_SEC * math.ceil(duration_sec / (GOP_SEC * MAX_TILES))
    scale = min(1.0, MAX_SIDE / max(width, height))
    return StoryboardPlan(
        duration_sec=duration_sec,
        interval_sec=interval_sec,
        count=max(1, round(duration_sec / interval_sec)),
        tile_width=_even(width * scale),
        tile_height=_even(height * scale),
    )


def sheet_command(rendition: Path, board: StoryboardPlan, *, ffmpeg: str, into: Path) -> list[str]:
    """Build the command that draws the sheet from a rendition's folder.

    A tile is the last frame before the middle of its seconds.
    """
    key_frames = ["-skip_frame", "nokey"] if board.interval_sec % GOP_SEC == 0 else []
    steps = [
        # Without `pass`, a video shorter than half an interval would have no frame at all.
        f"fps=fps=1/{board.interval_sec}:start_time=0:round=near:eof_action=pass",
        # JPEG is full-range bt601 by definition (JFIF).
        f"scale={board.tile_width}:{board.tile_height}:out_range=pc:out_color_matrix=bt601",
        "format=yuvj420p",
        f"tile={board.columns}x{board.rows}:nb_frames={board.count}",
    ]
    return [
        *(ffmpeg, "-hide_banner", "-nostdin", "-y", "-loglevel", "warning"),
        *("-nostats", "-progress", "pipe:1"),
        *("-protocol_whitelist", "file", "-format_whitelist", "hls,mov", *key_frames),
        *("-f", "hls", "-i", str(rendition / PLAYLIST)),
        *("-map", "0:v:0", "-vf", ",".join(steps), "-frames:v", "1", "-q:v", _JPEG_QUALITY),
        *("-update", "1", "-f", "image2", str(into)),
    ]


def storyboard_silence_sec(duration_sec: float) -> float:
    """How much longer than other runs this one may say nothing: it has no output until its end."""
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


def _even(pixels: float) -> int:
    """4:2:0 keeps one colour for two pixels: no two tiles are to share it."""
    return max(2, 2 * round(pixels / 2))
