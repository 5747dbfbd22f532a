from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoder.encode.encode_command import GOP_SEC
from transcoder.encode.storyboard_sheet import (
    COLUMNS,
    MAX_SIDE,
    MAX_TILES,
    plan_storyboard,
    sheet_command,
    storyboard_cues,
)

WEEK_SEC = 7 * 24 * 3600
DURATIONS = st.floats(min_value=1 / 60, max_value=WEEK_SEC)
SIDES = st.integers(1, 4096).map(lambda half: 2 * half)


@given(DURATIONS, SIDES, SIDES)
def test_every_second_is_shown_by_one_tile_within_the_sheet(
    duration_sec: float, width: int, height: int
) -> None:
    board = plan_storyboard(duration_sec, width, height)
    tiles = list(board.tiles())

    assert 1 <= len(tiles) <= MAX_TILES
    assert (tiles[0].start_sec, tiles[-1].end_sec) == (0, duration_sec)
    for tile, following in pairwise(tiles):
        assert tile.end_sec == following.start_sec
    assert all(tile.start_sec < tile.end_sec for tile in tiles)
    places = {(tile.x, tile.y) for tile in tiles}
    assert len(places) == len(tiles)
    right, bottom = board.columns * board.tile_width, board.rows * board.tile_height
    assert max(x for x, _ in places) + board.tile_width == right
    assert max(y for _, y in places) + board.tile_height == bottom


@given(DURATIONS)
def test_the_last_tile_stands_for_no_more_than_one_and_a_half_intervals(
    duration_sec: float,
) -> None:
    board = plan_storyboard(duration_sec, 426, 240)
    *_, last = board.tiles()
    assert last.end_sec - last.start_sec <= 1.5 * board.interval_sec
    if board.count > 1:
        assert last.end_sec - last.start_sec >= 0.5 * board.interval_sec


@given(DURATIONS)
def test_an_interval_over_a_second_is_made_of_whole_gops(duration_sec: float) -> None:
    interval_sec = plan_storyboard(duration_sec, 426, 240).interval_sec
    assert interval_sec == 1 or interval_sec % GOP_SEC == 0


@given(SIDES, SIDES)
def test_a_tile_keeps_the_shape_within_its_bound_and_is_never_enlarged(
    width: int, height: int
) -> None:
    board = plan_storyboard(10, width, height)
    for side, of in ((board.tile_width, width), (board.tile_height, height)):
        assert side % 2 == 0
        assert 2 <= side <= min(MAX_SIDE, of)
    # Each side is rounded to even: off by at most one pixel, or the minimum of two.
    scale = min(1, MAX_SIDE / max(width, height))
    assert abs(board.tile_width - max(2, width * scale)) <= 1
    assert abs(board.tile_height - max(2, height * scale)) <= 1


@pytest.mark.parametrize(
    ("duration_sec", "interval_sec", "count"),
    [
        (0.04, 1, 1),
        (1.4, 1, 1),
        (5.28, 1, 5),
        (100, 1, 100),
        (100.4, 1, 100),
        (101, 2, 50),
        (200, 2, 100),
        (201, 4, 50),
        (3600, 36, 100),
        (WEEK_SEC, 6048, 100),
    ],
)
def test_long_videos_have_wider_intervals(
    duration_sec: float, interval_sec: int, count: int
) -> None:
    board = plan_storyboard(duration_sec, 426, 240)
    assert (board.interval_sec, board.count) == (interval_sec, count)


@pytest.mark.parametrize(
    ("size", "tile"),
    [((426, 240), (160, 90)), ((240, 426), (90, 160)), ((64, 64), (64, 64)), ((240, 2), (160, 2))],
)
def test_tiles_are_as_upright_as_the_video(size: tuple[int, int], tile: tuple[int, int]) -> None:
    board = plan_storyboard(10, *size)
    assert (board.tile_width, board.tile_height) == tile


def test_cues_name_their_part_of_the_sheet_beside_them() -> None:
    lines = storyboard_cues(plan_storyboard(3 * 3600 - 0.5, 426, 240)).splitlines()

    assert lines[0] == "WEBVTT"
    assert lines[2:4] == ["00:00:00.000 --> 00:01:48.000", "storyboard.jpg#xywh=0,0,160,90"]
    second_row = 2 + 3 * COLUMNS
    assert lines[second_row + 1] == "storyboard.jpg#xywh=0,90,160,90"
    assert lines[-2:] == ["02:58:12.000 --> 02:59:59.500", "storyboard.jpg#xywh=1440,810,160,90"]


@pytest.mark.parametrize(("duration_sec", "key_frames_only"), [(100, False), (101, True)])
def test_only_the_key_frames_of_a_long_video_are_decoded(
    duration_sec: float, key_frames_only: bool
) -> None:
    command = sheet_command(
        Path("240p"),
        plan_storyboard(duration_sec, 426, 240),
        ffmpeg="ffmpeg",
        into=Path("sheet.jpg"),
    )
    assert ("nokey" in command) is key_frames_only
