import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.media.probe import probe
from pipeline.media.source_limits import Limits, MediaRefused, check_limits
from pipeline.media.tools import Tools, locate_tools
from tests import clips
from tests.formats.measures import (
    beep_sec,
    difference,
    flash_sec,
    joined,
    levels_db,
    pictures,
    sound,
)
from tests.formats.page import page
from tests.formats.table import FORMATS, REFUSED, SECONDS, Format
from tests.hostile.mp4 import MP4
from tests.hostile.others import OTHERS
from transcoder.encode.encode_source import Encoded, EncodeOptions, encode_source

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
MOST_DIFFERENCE = 6
"""Of 255, on average: more than a codec of a low rate loses, far less than another frame."""
HALF_A_FRAME_SEC = 0.05
"""Frames move to the even grid of the outputs, by half a step at most."""
LIMITS = Limits(max_bytes=5 * 1024**3, max_duration_sec=4 * 3600)


@pytest.fixture(scope="module")
def tools() -> Tools:
    return locate_tools(os.environ)


def streams(path: Path, tools: Tools) -> list[dict[str, Any]]:
    command = [tools.ffprobe, "-v", "error", "-show_streams", "-of", "json", str(path)]
    done = subprocess.run(command, check=True, capture_output=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)["streams"]
    return found


@pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.name)
def test_a_format_becomes_what_its_row_says(row: Format, tmp_path: Path, tools: Tools) -> None:
    source, work = row.make(tmp_path, tools), tmp_path / "work"
    work.mkdir()
    info = probe(source, tools)
    check_limits(info, LIMITS)

    encoded = encode_source(
        source,
        info,
        work,
        EncodeOptions(preset="ultrafast"),
        tools,
        on_progress=lambda *_: None,
        cancelled=lambda: False,
    )

    assert [loss.code.value for loss in encoded.losses] == [code.value for code in row.warned]
    found = streams(encoded.outputs / "fallback/video.mp4", tools)
    assert float(found[0]["duration"]) == pytest.approx(SECONDS, abs=0.2)
    for made in outputs_of(encoded, tmp_path):
        check_against_source(made, source, row, tools)


def outputs_of(encoded: Encoded, folder: Path) -> list[Path]:
    """Return each rendition in one file, and the fallback."""
    profiles = [each.profile for each in encoded.renditions]
    renditions = [
        joined(encoded.outputs / profile / "index.m3u8", folder / f"{profile}.mp4")
        for profile in profiles
    ]
    return [*renditions, encoded.outputs / "fallback/video.mp4"]


def check_against_source(made: Path, source: Path, row: Format, tools: Tools) -> None:
    """Compare an output with the file that it was made of, both decoded by ffmpeg alone."""
    codecs = [(each["codec_name"], each.get("channels")) for each in streams(made, tools)]
    assert codecs == [("h264", None), *([("aac", 2)] if row.sound else [])]
    shown, wanted = pictures(made, tools, rate=10), pictures(source, tools, rate=10)
    assert len(shown) == pytest.approx(len(wanted), abs=1)
    if row.keeps_tones:
        differences = [difference(*pair) for pair in zip(shown, wanted, strict=False)]
        assert max(differences) < MOST_DIFFERENCE, differences
    assert flash_sec(made, tools) == pytest.approx(flash_sec(source, tools), abs=HALF_A_FRAME_SEC)
    if row.sound:
        heard, meant = sound(made, tools), sound(source, tools)
        assert beep_sec(heard) == pytest.approx(beep_sec(meant), abs=0.03)
        assert levels_db(heard) == pytest.approx(levels_db(meant), abs=1)


def encrypted(folder: Path, tools: Tools) -> bytes:
    key = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "7" * 32)
    command = [tools.ffmpeg, "-v", "error", "-i", str(clips.silent(folder, tools)), "-c", "copy"]
    path = folder / "encrypted.mp4"
    subprocess.run([*command, *key, "-encryption_kid", "a" * 32, str(path)], check=True)
    return path.read_bytes()


def content_of(name: str, folder: Path, tools: Tools) -> bytes:
    """The file of the clips, or of the hostile ones, that a row is named after."""
    if name == "encrypted":
        return encrypted(folder, tools)
    if name in MP4:
        return MP4[name][0](clips.silent(folder, tools).read_bytes())
    if name in OTHERS:
        return OTHERS[name][0]()
    make: Callable[[Path, Tools], Path] = getattr(clips, name)
    return make(folder, tools).read_bytes()


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_is_refused_as_its_row_says(name: str, tmp_path: Path, tools: Tools) -> None:
    path = tmp_path / "source"
    path.write_bytes(content_of(name, tmp_path, tools))

    with pytest.raises(MediaRefused) as refusal:
        check_limits(probe(path, tools), LIMITS)

    assert refusal.value.code == REFUSED[name].code


def test_the_page_is_that_of_the_table() -> None:
    assert PAGE.read_text() == page(), "run: python -m tests.formats.page > docs/formats.md"
