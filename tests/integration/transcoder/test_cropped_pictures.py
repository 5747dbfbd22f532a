"""Sources whose container shows a part of the stored picture only."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.media.tools import Tools
from tests.hostile.matroska_crop import TITLE, cropped
from tests.integration.transcoder.made_encodes import Make, ffmpeg

CODECS = {
    "mkv": ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
    "webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"),
}

Kind = Callable[[Tools, Path, str], Path]


def letterboxed(tools: Tools, folder: Path, suffix: str) -> Path:
    """Store 320x240 with black bars of 30 lines around a grey picture, and crop them away."""
    picture = "color=gray:s=320x240:r=25:d=0.4,drawbox=h=30:c=black:t=fill,"
    picture += "drawbox=y=210:h=30:c=black:t=fill"
    stored = ffmpeg(
        tools,
        folder / f"letterboxed.{suffix}",
        *("-f", "lavfi", "-i", picture, *CODECS[suffix], "-metadata:s:v", f"title={TITLE}"),
    )
    crop = folder / f"cropped.{suffix}"
    crop.write_bytes(cropped(stored.read_bytes(), 0, 30, 0, 30))
    return crop


def copied(tools: Tools, folder: Path, suffix: str) -> Path:
    """Copy the crop into MP4, as the box `clap`."""
    source = letterboxed(tools, folder, "mkv")
    return ffmpeg(tools, folder / f"cropped.{suffix}", "-i", str(source), "-c", "copy")


def turned(tools: Tools, folder: Path, suffix: str) -> Path:
    """Turn the cropped picture, as a phone does."""
    source = copied(tools, folder, "mp4")
    turn = ("-display_rotation", "270", "-i", str(source), "-c", "copy")
    return ffmpeg(tools, folder / f"cropped-and-turned.{suffix}", *turn)


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        (letterboxed, "mkv"),
        (letterboxed, "webm"),
        (copied, "mp4"),
        (copied, "mov"),
        (turned, "mp4"),
    ],
)
def test_the_outputs_show_what_the_container_leaves_of_the_picture(
    made: Make, clip_folder: Path, tools: Tools, kind: Kind, suffix: str
) -> None:
    result = made(kind(tools, clip_folder, suffix))
    size = (180, 320) if kind is turned else (320, 180)
    assert (result.info.width, result.info.height) == size
    for path in (result.playlists[0], result.fallback):
        [video] = result.streams(path, "video")
        assert (video["width"], video["height"]) == size
        for frame in result.grey_frames(path):
            assert min(frame) > 100
    assert [loss.code.value for loss in result.encoded.losses] == ["picture_cropped"]


def test_the_cropping_of_a_codec_is_no_loss(made: Make, clip_folder: Path, tools: Tools) -> None:
    # H.264 stores 192 lines for 180.
    source = ("-f", "lavfi", "-i", "color=gray:s=320x180:r=25:d=0.4", *CODECS["mkv"])
    result = made(ffmpeg(tools, clip_folder / "codec-cropped.mp4", *source))
    [video] = result.streams(result.playlists[0], "video")
    assert (video["width"], video["height"]) == (320, 180)
    assert result.encoded.losses == ()
