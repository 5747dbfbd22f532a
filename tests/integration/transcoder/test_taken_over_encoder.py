"""An ffmpeg that a file has taken over, in a whole job: nothing of what it adds is published."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from pipeline.media import confinement
from pipeline.media.confinement import WAIVE, IsolationMissing
from pipeline.media.tools import Tools
from pipeline.storage.local import MARKER
from tests import clips
from tests.integration.transcoder.conftest import Client, row
from tests.scripted_ffmpeg import scripted_ffmpeg
from transcoder.services import TranscoderServices, make_services
from transcoder.settings import load_settings
from transcoder.transcode import transcode

SECRET = "of nobody's business"

SCRIPT = """#!{python} -IS
import os, sys
playlist = next((a for a in sys.argv if a.endswith("/outputs/360p/index.m3u8")), None)
if playlist:
    loot = b"nothing"
    try:
        loot = open({secret!r}, "rb").read()
    except OSError:
        pass
    try:  # refused to a run that only reads the rendition
        open(os.path.join(os.path.dirname(playlist), {planted!r}), "wb").write(loot)
    except OSError:
        pass
os.execv('REAL_FFMPEG', sys.argv)
"""


TakenOver = Callable[[str], TranscoderServices]


@pytest.fixture
def taken_over(services: TranscoderServices, tools: Tools, tmp_path: Path) -> TakenOver:
    """Make services whose ffmpeg plants a file beside its outputs, then does what was asked."""
    secret = tmp_path / "secrets.json"
    secret.write_text(SECRET)

    def plant(name: str) -> TranscoderServices:
        python = os.path.realpath(sys.executable)
        script = SCRIPT.format(python=python, secret=str(secret), planted=name)
        program = scripted_ffmpeg(tmp_path, script, tools.ffmpeg)
        return replace(services, tools=replace(tools, ffmpeg=program))

    return plant


@pytest.fixture
def job_id(client: Client, clip_folder: Path, tools: Tools) -> UUID:
    return client.submit(clips.widescreen(clip_folder, tools))


def published(tmp_path: Path) -> list[bytes]:
    files = (path for path in (tmp_path / "videos").rglob("*") if path.is_file())
    return [path.read_bytes() for path in files if path.name != MARKER]


@pytest.mark.parametrize("planted", ["stolen.txt", "seg_00077.m4s"])
def test_nothing_is_published_of_an_encoder_that_plants_a_file(
    planted: str, taken_over: TakenOver, job_id: UUID, tmp_path: Path
) -> None:
    services = taken_over(planted)

    transcode(services, job_id)

    job = row(services, job_id)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["code"] == "encoder_failed", job.error
    assert "nothing else" in job.error["message"]
    assert published(tmp_path) == []


def test_no_secret_is_in_the_outputs_of_an_encoder_that_looked_for_it(
    taken_over: TakenOver, job_id: UUID, tmp_path: Path
) -> None:
    services = taken_over("index.m3u8")  # which the real ffmpeg overwrites

    transcode(services, job_id)

    assert row(services, job_id).status == "completed"
    assert len(published(tmp_path)) > 5
    assert not [content for content in published(tmp_path) if SECRET.encode() in content]


def test_a_transcoder_on_a_machine_that_cannot_isolate_ffmpeg_does_not_start(
    environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "active_isolation", lambda: ("network", "privileges"))

    with pytest.raises(IsolationMissing, match="landlock,seccomp"):
        make_services(load_settings())
    monkeypatch.setenv(WAIVE, "landlock,seccomp")
    make_services(load_settings()).engine.dispose()
