"""The parts of ffmpeg that are tried, compared with the commands and with real programs."""

import inspect
import os
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from pipeline.media import ffmpeg_needs, frames
from pipeline.media.ffmpeg_needs import PICTURE_FILTERS, SOUND_FILTERS, missing_needs
from pipeline.media.source_info import SourceInfo
from pipeline.media.tools import locate_tools
from tests.scripted_ffmpeg import scripted_ffmpeg
from transcoder.encode.encode_command import encode_command
from transcoder.encode.filters import filter_graph, fit_graph
from transcoder.encode.ladder import ladder
from transcoder.encode.pictures import picture_command, poster_instants
from transcoder.encode.storyboard_sheet import plan_storyboard, sheet_command

Make = Callable[..., SourceInfo]

STEP = re.compile(r"(?:^|[,;\]])([a-z0-9]+)(?:=((?:'[^']*'|[^,;\[])*))?")
OPTION = re.compile(r"(?:^|:)([a-z_]+)=")
ANY = Path("/nowhere")


def parts(graph: str) -> set[str]:
    """The filters of a graph, and each of their options as `filter option`."""
    found = set()
    for name, options in STEP.findall(graph):
        found |= {name, *(f"{name} {option}" for option in OPTION.findall(options))}
    return found


def test_every_filter_and_option_of_our_commands_is_tried(info: Make) -> None:
    hdr = info(color_transfer="smpte2084", interlaced=True)
    surround = info(audio_channels=6, audio_layout="5.1", color_primaries="smpte432")
    mono = info(audio_channels=1, audio_layout="mono")
    rungs = ladder(1280, 720)
    used = parts(fit_graph(hdr, rungs[0]))
    for source in (hdr, surround, mono):
        graph = filter_graph(source, rungs, Fraction(25), 2, loudness_lufs=-16)
        used |= parts(graph)
    for exact in (None, 1.0):
        [first, *_] = poster_instants(5, exact)
        command = picture_command(ANY, rungs[0], first, ffmpeg="ffmpeg", into=ANY)
        used |= parts(command[command.index("-filter_complex") + 1])
    board = plan_storyboard(5, 426, 240)
    sheet = sheet_command(ANY, board, ffmpeg="ffmpeg", into=ANY)
    used |= parts(sheet[sheet.index("-vf") + 1])
    [luma] = re.findall(r'"-vf", f?"([^"]+)"', inspect.getsource(frames)) or [""]
    used |= parts(luma)

    assert used - parts(",".join((*PICTURE_FILTERS, *SOUND_FILTERS))) == set()


def test_every_option_of_the_encode_is_tried(info: Make) -> None:
    command = encode_command(
        ANY,
        info(),
        ladder(1280, 720),
        Fraction(25),
        ffmpeg="ffmpeg",
        preset="veryfast",
        held_sec=0,
        into=ANY,
        fitted=True,
    )
    tried = inspect.getsource(ffmpeg_needs)
    # Options of every ffmpeg since its version 1, which select and describe streams.
    plain = {
        *("-hide_banner", "-nostdin", "-y", "-loglevel", "-nostats", "-progress", "-i", "-f"),
        *(
            "-map",
            "-t",
            "-c:v",
            "-c:a",
            "-b:a",
            "-filter_complex",
            "-vf",
            "-pix_fmt",
            "-",
            "-map_metadata",
        ),
        *("-map_chapters", "-max_pixels", "-color_primaries", "-color_trc", "-colorspace"),
        *("-color_range", "-protocol_whitelist", "-avoid_negative_ts"),
    }
    options = {word for word in command if re.fullmatch(r"-[a-z_:]*", word)} - plain
    assert {option for option in options if f'"{option}"' not in tried} == set()


def test_the_bundled_programs_have_every_part() -> None:
    assert missing_needs(locate_tools({"PATH": ""})) == []


@pytest.mark.parametrize(
    ("lacks", "named"),
    [
        ("intent=", "filter scale=out_primaries=bt709:out_transfer=bt709:intent=perceptual"),
        ("latency=", "filter alimiter=limit=0.891:level=disabled:latency=enabled"),
        ("libx264", "encoder libx264"),
        ("-dec 0:0", "options -dec (loopback decoders), -fps_mode, -enc_time_base"),
    ],
    ids=["filter option", "sound option", "encoder", "program option"],
)
def test_a_part_that_an_older_ffmpeg_lacks_is_named(tmp_path: Path, lacks: str, named: str) -> None:
    tools = locate_tools({"PATH": ""})
    script = f'#!/bin/sh\ncase "$*" in *"{lacks}"*) exit 8;; esac\nexec REAL_FFMPEG "$@"\n'
    older = scripted_ffmpeg(tmp_path, script, tools.ffmpeg)

    missing = missing_needs(replace(tools, ffmpeg=older))

    assert named in missing


def test_the_transcoder_does_not_start_with_an_older_ffmpeg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transcoder.tasks import require_ffmpeg  # noqa: PLC0415 - it reads the environment

    require_ffmpeg()
    script = '#!/bin/sh\ncase "$*" in *intent=*) exit 8;; esac\nexec REAL_FFMPEG "$@"\n'
    older = scripted_ffmpeg(tmp_path, script, locate_tools(os.environ).ffmpeg)
    monkeypatch.setenv("FFMPEG", older)

    with pytest.raises(SystemExit, match=r"lacks filter scale=.*Unset FFMPEG"):
        require_ffmpeg()
