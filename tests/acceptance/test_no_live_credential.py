"""Nothing that a run leaves behind opens anything, and no other user of the machine may read it."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import requests

from tests import clips
from tests.acceptance.exchanges import secrets_in
from tests.acceptance.stage import Stage
from tests.acceptance.test_what_is_kept import logs, tables

MEDIA = re.compile(r"/media/[\w.~-]{20,}/[\w./%~-]+")
API_KEY = re.compile(r"khv_[0-9a-f]{32}_[A-Za-z0-9_-]{43}")
JWT = re.compile(r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{20,}")
PRIVATE = frozenset({"secrets.json", "environment.json"})
"""Files that hold the stack's secrets by their purpose."""

Kept = Iterator[tuple[str, str]]


@pytest.fixture(scope="module", autouse=True)
def _whole_run(stage: Stage) -> None:
    """A signed and a public video from an upload, to their ends."""
    clip = clips.widescreen(stage.folder, stage.tools)
    for title in ("one", "two"):
        stage.await_end(stage.upload(clip, title=title))


def broker_keys(stage: Stage) -> Kept:
    with redis.Redis.from_url(stage.stack.environment["BROKER_URL"]) as broker:
        for key in broker.scan_iter("*"):
            assert isinstance(key, bytes)
            yield f"broker key {key!r}", repr(broker.dump(key))


def files(stage: Stage) -> Kept:
    home = stage.stack.home
    for folder in (home.run, home.scratch):
        for path in folder.rglob("*"):
            if path.is_file() and path.name not in PRIVATE:
                yield str(path), path.read_bytes().decode(errors="replace")


def everything(stage: Stage) -> dict[str, str]:
    return dict([*logs(stage, None), *tables(stage, None), *broker_keys(stage), *files(stage)])


def test_no_broker_key_and_no_file_of_the_run_holds_a_secret(stage: Stage) -> None:
    found = dict([*broker_keys(stage), *files(stage)])
    leaks = {where: secrets_in(text, stage.stack.environment) for where, text in found.items()}
    assert {where: leaked for where, leaked in leaks.items() if leaked} == {}


def test_no_token_that_was_left_anywhere_opens_anything(stage: Stage) -> None:
    found = everything(stage)
    assert any(name == "transcoder.jobs" and text for name, text in found.items())
    opened = []
    for where, text in found.items():
        for path in set(MEDIA.findall(text)):
            answer = requests.get(stage.stack.base_url + path, timeout=60)
            if answer.ok:
                opened.append((where, path[:60]))
        for bearer in {*API_KEY.findall(text), *JWT.findall(text)}:
            headers = {"Authorization": f"Bearer {bearer}"}
            path = "/api/video-assets?status=completed"
            if requests.get(stage.stack.base_url + path, headers=headers, timeout=60).ok:
                opened.append((where, bearer[:12]))
    assert opened == []


def test_no_other_user_of_the_machine_reads_a_file_of_the_stack(stage: Stage) -> None:
    home = stage.stack.home
    mine = os.geteuid()

    def is_open(path: Path) -> bool:
        status = path.lstat()
        is_plain = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
        return is_plain and status.st_uid == mine and bool(status.st_mode & 0o077)

    places = (home.logs, home.run, home.scratch, home.storage)
    walked = [path for place in places for path in (place, *place.rglob("*"))]
    assert len(walked) > len(places)
    beside = [path for path in home.root.iterdir() if path.is_file()]
    assert [str(path) for path in (*walked, *beside) if is_open(path)] == []
