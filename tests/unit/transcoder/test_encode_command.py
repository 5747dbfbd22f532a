from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from pipeline.media.source_info import SourceInfo
from transcoder.encode.encode_command import encode_command
from transcoder.encode.ladder import ladder

Make = Callable[..., SourceInfo]


def command(info: SourceInfo, rate: Fraction = Fraction(25)) -> list[str]:
    return encode_command(
        Path("/scratch/source"),
        info,
        ladder(info.width, info.height),
        rate,
        ffmpeg="ffmpeg",
        preset="veryfast",
        held_sec=0,
        into=Path("/scratch/outputs"),
    )


def after(arguments: list[str], option: str) -> list[str]:
    return [arguments[at + 1] for at, given in enumerate(arguments) if given == option]


def test_the_source_is_opened_once_as_a_local_file_of_the_probed_container(info: Make) -> None:
    arguments = command(info(container="mp4"))
    assert arguments.count("-i") == 1
    opened = arguments[: arguments.index("-i")]
    assert after(opened, "-protocol_whitelist") == ["file"]
    assert after(opened, "-f") == ["mp4"]


def test_every_rendition_is_an_output_with_picture_and_sound(info: Make) -> None:
    arguments = command(info())
    assert after(arguments, "-map") == [f"[{kind}{n}]" for n in range(4) for kind in "va"]
    playlists = [argument for argument in arguments if argument.endswith("index.m3u8")]
    assert playlists[0] == "/scratch/outputs/720p/index.m3u8"
    assert len(playlists) == 4


def test_a_silent_source_has_no_sound_in_any_rendition(info: Make) -> None:
    arguments = command(info(audio_codec=None))
    assert after(arguments, "-map") == [f"[v{n}]" for n in range(4)]
    assert "-c:a" not in arguments


def test_a_gop_is_never_longer_than_two_seconds(info: Make) -> None:
    assert after(command(info(), Fraction(24000, 1001)), "-g") == ["48"] * 4
    assert after(command(info(), Fraction(60)), "-g") == ["120"] * 4


def test_a_high_frame_rate_has_a_higher_ceiling(info: Make) -> None:
    assert after(command(info(), Fraction(30)), "-maxrate")[0] == "3500000"
    assert after(command(info(), Fraction(50)), "-maxrate")[0] == "5250000"


def test_nothing_personal_of_the_source_is_published(info: Make) -> None:
    arguments = command(info())
    assert after(arguments, "-map_metadata") == ["-1"] * 4
    assert after(arguments, "-map_chapters") == ["-1"] * 4
