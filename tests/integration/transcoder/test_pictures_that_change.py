"""Sources whose picture changes its size or shape in mid-stream, encoded into one frame."""

from pathlib import Path

import pytest

from pipeline.media.tools import Tools
from tests.integration.transcoder.made_encodes import Made, Make, ffmpeg

SQUARE = "drawbox=x=(iw-100)/2:y=(ih-100)/2:w=100:h=100:c=white:t=fill"
"""A white square in the middle of a grey picture: its shape tells a stretched picture."""
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p")
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "25")


def part(
    tools: Tools, folder: Path, size: str, *codec: str, sec: float = 1, more: str = "null"
) -> Path:
    suffix, sound_codec = ("webm", "libopus") if codec == VP9 else ("ts", "aac")
    name = f"part-{size}-{codec[1]}-{sec}-{len(more)}.{suffix}"
    picture = f"color=gray:s={size}:r=25:d={sec},{SQUARE},{more}"
    sound = ("-f", "lavfi", "-i", f"sine=d={sec}", "-c:a", sound_codec)
    return ffmpeg(tools, folder / name, "-f", "lavfi", "-i", picture, *sound, *codec)


def joined(tools: Tools, into: Path, *parts: Path) -> Path:
    """Put recordings one after the other without a new encode, as a recorder of calls does."""
    names = into.with_suffix(".txt")
    names.write_text("".join(f"file '{part}'\n" for part in parts))
    return ffmpeg(tools, into, "-f", "concat", "-safe", "0", "-i", str(names), "-c", "copy")


def white_boxes(result: Made, path: Path) -> list[tuple[int, int]]:
    """Measure the width and height of the white square in each decoded frame."""
    [video] = result.streams(path, "video")
    width, height = video["width"], video["height"]
    found = []
    for frame in result.grey_frames(path):
        rows = [frame[row * width : (row + 1) * width] for row in range(height)]
        white = [sum(pixel > 190 for pixel in row) for row in rows]
        found.append((max(white), sum(count > max(white) / 2 for count in white)))
    return found


def is_square(box: tuple[int, int]) -> bool:
    return box[0] > 20 and abs(box[0] - box[1]) <= 0.1 * box[0]


@pytest.mark.parametrize(("codec", "suffix"), [(H264, "mp4"), (H264, "ts"), (VP9, "webm")])
def test_a_picture_that_is_turned_keeps_its_shape_behind_bars(
    made: Make, clip_folder: Path, tools: Tools, codec: tuple[str, ...], suffix: str
) -> None:
    parts = [part(tools, clip_folder, size, *codec) for size in ("320x180", "180x320")]
    result = made(joined(tools, clip_folder / f"turned.{suffix}", *parts))
    assert "picture_fitted" in {loss.code.value for loss in result.encoded.losses}
    for path in (result.playlists[0], result.fallback):
        [video] = result.streams(path, "video")
        assert (video["width"], video["height"]) == (320, 180)
        boxes = white_boxes(result, path)
        assert len(boxes) == pytest.approx(50, abs=3)
        assert all(is_square(box) for box in boxes)
        assert boxes[5][0] == pytest.approx(100, abs=4)
        assert boxes[45][0] == pytest.approx(100 * 180 / 320, abs=4)
        for kind in ("v", "a"):
            assert result.length_sec(path, kind) == pytest.approx(2.0, abs=0.15)
        assert result.sound_begins_sec(path) < 0.1


def test_a_picture_that_grows_is_encoded_at_its_largest_size(
    made: Make, clip_folder: Path, tools: Tools
) -> None:
    parts = [part(tools, clip_folder, size, *VP9) for size in ("320x180", "640x360")]
    result = made(joined(tools, clip_folder / "grown.webm", *parts))
    [video] = result.streams(result.playlists[0], "video")
    assert (video["width"], video["height"]) == (640, 360)
    boxes = white_boxes(result, result.playlists[0])
    assert all(is_square(box) for box in boxes)
    assert boxes[5][0] == pytest.approx(200, abs=6)
    assert boxes[45][0] == pytest.approx(100, abs=4)


def test_the_frame_has_the_shape_that_is_shown_longest(
    made: Make, clip_folder: Path, tools: Tools
) -> None:
    wide, tall = (
        part(tools, clip_folder, size, *H264, sec=sec)
        for size, sec in (("320x180", 0.4), ("180x320", 2))
    )
    result = made(joined(tools, clip_folder / "mostly-tall.mkv", wide, tall))
    [video] = result.streams(result.playlists[0], "video")
    assert (video["width"], video["height"]) == (180, 320)
    assert all(is_square(box) for box in white_boxes(result, result.playlists[0]))


def test_a_rotated_recording_that_changes_its_size_stands_upright(
    made: Make, clip_folder: Path, tools: Tools
) -> None:
    parts = [part(tools, clip_folder, size, *H264) for size in ("320x180", "240x240")]
    both = joined(tools, clip_folder / "to-be-turned.mp4", *parts)
    turn = ("-display_rotation", "270", "-i", str(both), "-c", "copy")
    result = made(ffmpeg(tools, clip_folder / "turned-and-changed.mp4", *turn))
    [video] = result.streams(result.playlists[0], "video")
    assert (video["width"], video["height"]) == (180, 320)
    boxes = white_boxes(result, result.playlists[0])
    assert all(is_square(box) for box in boxes)
    assert boxes[45][0] == pytest.approx(100 * 180 / 240, abs=4)


def test_pixels_that_change_their_shape_are_not_stretched(
    made: Make, clip_folder: Path, tools: Tools
) -> None:
    # PAL in 4:3 and then in 16:9: the same stored size, and a wider picture.
    squeezed = f"scale=360:288,setsar=16/15,{'null,' * 3}null"
    wide = f"scale=360:288,setsar=64/45,{'null,' * 4}null"
    parts = [
        part(tools, clip_folder, "384x288", *H264, more=squeezed, sec=1.2),
        part(tools, clip_folder, "512x288", *H264, more=wide),
    ]
    result = made(joined(tools, clip_folder / "aspect.ts", *parts))
    [video] = result.streams(result.playlists[0], "video")
    assert video["width"] / video["height"] == pytest.approx(4 / 3, abs=0.02)
    boxes = white_boxes(result, result.playlists[0])
    assert all(is_square(box) for box in boxes)
    assert boxes[45][0] < 0.9 * boxes[5][0]


def test_an_unchanging_picture_has_no_bars(made: Make, clip_folder: Path, tools: Tools) -> None:
    codec = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")
    white = ("-f", "lavfi", "-i", "color=white:s=426x234:r=25:d=0.4", *codec)
    result = made(ffmpeg(tools, clip_folder / "white.webm", *white))
    for frame in result.grey_frames(result.playlists[0]):
        assert min(frame) > 200
