import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.media.frames import Luma, is_black, luma_of, size_of
from pipeline.media.source_limits import MediaRefused
from pipeline.media.tools import Tools
from tests import clips
from tests.clips import Kind


@pytest.fixture
def picture(tools: Tools, tmp_path: Path) -> Callable[[str], Path]:
    """Draws a JPEG with a filter of ffmpeg's."""

    def draw(source: str) -> Path:
        path = tmp_path / "picture.jpg"
        command = [tools.ffmpeg, "-v", "error", "-y", "-f", "lavfi", "-i", source]
        subprocess.run([*command, "-frames:v", "1", str(path)], check=True)
        return path

    return draw


@pytest.mark.parametrize(("color", "mean"), [("black", 0), ("gray", 128), ("white", 255)])
def test_brightness_is_measured_over_the_full_range(
    color: str,
    mean: int,
    picture: Callable[[str], Path],
    tools: Tools,
) -> None:
    luma = luma_of(picture(f"color={color}:size=320x180"), tools)

    assert luma.mean == pytest.approx(mean, abs=3)
    assert luma.deviation == pytest.approx(0, abs=1)


def test_a_black_frame_with_noise_is_black(
    picture: Callable[[str], Path],
    tools: Tools,
) -> None:
    assert is_black(luma_of(picture("color=0x080808:size=320x180,noise=alls=10"), tools))


def test_a_night_scene_with_a_lamp_is_not_black(
    picture: Callable[[str], Path],
    tools: Tools,
) -> None:
    lamp = "color=black:size=320x180,drawbox=x=200:y=40:w=60:h=60:color=yellow:t=fill"

    luma = luma_of(picture(lamp), tools)

    assert luma.mean < 20
    assert not is_black(luma)


def test_an_even_grey_is_not_black() -> None:
    assert not is_black(Luma(mean=21, deviation=0))


def test_a_drawn_picture_is_not_black(make: Callable[[Kind], Path], tools: Tools) -> None:
    assert not is_black(luma_of(make(clips.image), tools))


@pytest.mark.parametrize("kind", [clips.html, clips.empty, clips.widescreen])
def test_what_is_no_picture_is_refused(
    kind: Kind,
    make: Callable[[Kind], Path],
    tools: Tools,
) -> None:
    with pytest.raises(MediaRefused):
        luma_of(make(kind), tools)
    with pytest.raises(MediaRefused):
        size_of(make(kind), tools)


def test_a_picture_is_measured_across_and_down(make: Callable[[Kind], Path], tools: Tools) -> None:
    assert size_of(make(clips.image), tools) == (320, 180)


def test_a_picture_of_which_nothing_can_be_decoded_has_no_size(
    make: Callable[[Kind], Path], tools: Tools, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(make(clips.image).read_bytes()[:200] + bytes(5000))

    with pytest.raises(MediaRefused):
        size_of(broken, tools)


def test_a_picture_cut_off_in_its_header_is_refused(
    make: Callable[[Kind], Path],
    tools: Tools,
    tmp_path: Path,
) -> None:
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(make(clips.image).read_bytes()[:40])

    with pytest.raises(MediaRefused):
        luma_of(cut, tools)
