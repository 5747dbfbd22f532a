from collections.abc import Callable
from fractions import Fraction

import pytest

from pipeline.media.source_info import SourceInfo
from transcoder.encode.filters import filter_graph
from transcoder.encode.ladder import ladder

Make = Callable[..., SourceInfo]


def graph(info: SourceInfo) -> str:
    return filter_graph(info, ladder(info.width, info.height), Fraction(25))


def test_every_rung_has_a_pad_and_is_scaled_from_the_one_above(info: Make) -> None:
    chains = graph(info()).split(";")
    assert chains[0].startswith("[0:V:0]")
    assert chains[0].endswith("split=2[v0][w1]")
    assert chains[1:4] == [
        "[w1]scale=854:480,setsar=1,split=2[v1][w2]",
        "[w2]scale=640:360,setsar=1,split=2[v2][w3]",
        "[w3]scale=426:240,setsar=1[v3]",
    ]


def test_a_single_rung_is_not_split(info: Make) -> None:
    assert "[0:a" in graph(info(width=320, height=180))
    assert ",split" not in graph(info(width=320, height=180)).split(";")[0]


def test_a_silent_source_gets_no_sound_chain(info: Make) -> None:
    assert "[a0]" not in graph(info(audio_codec=None, audio_channels=None))


def test_only_an_interlaced_source_is_deinterlaced(info: Make) -> None:
    assert "bwdif" in graph(info(interlaced=True))
    assert "bwdif" not in graph(info())


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_hdr_is_tone_mapped(info: Make, transfer: str) -> None:
    assert "intent=perceptual" in graph(info(color_transfer=transfer, color_primaries="bt2020"))


def test_a_wide_gamut_without_hdr_is_mapped_but_not_toned(info: Make) -> None:
    assert "intent=relative_colorimetric" in graph(info(color_primaries="smpte432"))
    assert "intent" not in graph(info())


@pytest.mark.parametrize(
    ("space", "height", "matrix"),
    [
        ("smpte170m", 720, "smpte170m"),
        ("bt470bg", 480, "bt470bg"),
        (None, 720, "bt709"),
        (None, 480, "smpte170m"),
        ("gbr", 720, "bt709"),
    ],
)
def test_the_matrix_is_the_named_one_or_what_players_assume(
    info: Make, space: str | None, height: int, matrix: str
) -> None:
    made = graph(info(color_space=space, width=1280, height=height))
    assert f"in_color_matrix={matrix}:" in made


@pytest.mark.parametrize(("held_sec", "frames"), [(0.0, 0), (0.03, 0), (0.04, 1), (2.5, 62)])
def test_the_picture_is_held_for_whole_frames(info: Make, held_sec: float, frames: int) -> None:
    source = info()
    made = filter_graph(source, ladder(source.width, source.height), Fraction(25), held_sec)
    assert ("tpad" in made) == (frames > 0)
    assert f"tpad=stop={frames}:stop_mode=clone" in made or frames == 0
