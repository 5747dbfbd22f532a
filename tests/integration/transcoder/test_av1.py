"""AV1, as phones, browsers and screen recorders write it."""

from pathlib import Path

import pytest

from pipeline.media.tools import Tools
from tests.integration.transcoder.made_encodes import Make, ffmpeg

PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=1")
SOUND = ("-f", "lavfi", "-i", "sine=d=1")


def av1(tools: Tools, folder: Path, suffix: str, pixels: str, *more: str) -> Path:
    sound = "libopus" if suffix == "webm" else "aac"
    codec = ("-c:v", "libsvtav1", "-preset", "10", "-crf", "20", "-pix_fmt", pixels)
    name = f"av1-{pixels}-{len(more)}.{suffix}"
    return ffmpeg(tools, folder / name, *PICTURE, *SOUND, *more, *codec, "-c:a", sound)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize("suffix", ["mp4", "webm", "mkv"])
def test_av1_is_decoded(
    made: Make, clip_folder: Path, tools: Tools, suffix: str, pixels: str
) -> None:
    result = made(av1(tools, clip_folder, suffix, pixels))
    assert (result.info.video_codec, result.info.pixel_format) == ("av1", pixels)
    h264 = ("-c:v", "libx264", "-crf", "10", "-pix_fmt", "yuv420p")
    reference = made(ffmpeg(tools, clip_folder / "av1-reference.mp4", *PICTURE, *h264))
    wanted = reference.pictures(reference.playlists[0])
    for path in (result.playlists[0], result.fallback):
        [video] = result.streams(path, "video")
        assert (video["width"], video["height"], video["pix_fmt"]) == (320, 180, "yuv420p")
        shown = result.pictures(path)
        assert len(shown) == len(wanted) == 25
        for one, other in zip(shown, wanted, strict=True):
            assert sum(abs(a - b) for a, b in zip(one, other, strict=True)) / 256 < 2
        assert result.length_sec(path, "a") == pytest.approx(1.0, abs=0.1)


def test_av1_in_hdr_is_mapped_to_the_standard_range(
    made: Make, clip_folder: Path, tools: Tools
) -> None:
    tags = "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=tv"
    result = made(av1(tools, clip_folder, "mp4", "yuv420p10le", "-vf", tags))
    assert result.info.color_transfer == "smpte2084"
    [video] = result.streams(result.playlists[0], "video")
    assert (video["color_transfer"], video["pix_fmt"]) == ("bt709", "yuv420p")
    assert "hdr_converted" in {loss.code.value for loss in result.encoded.losses}


def test_av1_that_changes_its_size_is_fitted(made: Make, clip_folder: Path, tools: Tools) -> None:
    parts = []
    for size in ("320x180", "180x320"):
        picture = ("-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d=0.4")
        codec = ("-c:v", "libsvtav1", "-preset", "10")
        parts.append(ffmpeg(tools, clip_folder / f"av1-{size}.mkv", *picture, *codec))
    names = clip_folder / "av1-parts.txt"
    names.write_text("".join(f"file '{part}'\n" for part in parts))
    joined = ("-f", "concat", "-safe", "0", "-i", str(names), "-c", "copy")
    result = made(ffmpeg(tools, clip_folder / "av1-turned.mkv", *joined))
    [video] = result.streams(result.playlists[0], "video")
    assert (video["width"], video["height"]) == (320, 180)
    last = result.grey_frames(result.playlists[0])[-1]
    assert max(last[row * 320 + 20] for row in range(180)) < 30
    assert max(last[row * 320 + 160] for row in range(180)) > 60
