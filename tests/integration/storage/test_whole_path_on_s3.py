"""The whole product on object storage: nothing of it needs a folder that its processes share."""

import struct
from collections.abc import Iterator, Mapping
from os import environ, getpid
from pathlib import Path
from urllib.parse import urljoin
from uuid import uuid4

import pytest
import requests

from cli.client import ApiClient, Source
from cli.lifecycle import follow
from pipeline.media.tools import locate_tools
from pipeline.storage.open import open_storage
from stack.home import Home
from stack.logins import ROLES, login_url, variable
from tests import clips
from tests.buckets import CREDENTIALS, S3Server
from tests.conftest import Databases
from tests.running import RunningStack, running_stack_process

OWNER = "ana"
MIB = 1024 * 1024


@pytest.fixture
def bucket(moto: S3Server) -> str:
    return moto.make_bucket("post-videos")


@pytest.fixture
def logins(
    databases: Databases, template: str, credentials: Mapping[str, str]
) -> Iterator[Mapping[str, str]]:
    """A database of this stack's own, as the settings that name it."""
    name = f"khronika_stack_on_s3_{getpid()}"
    url = databases.make(name, template=template)
    yield {"DATABASE_URL": url} | {
        variable(part): login_url(url, role, credentials[f"{part}_password"])
        for part, role in ROLES.items()
    }
    databases.drop(name)


@pytest.fixture
def stack(
    home: Home, logins: Mapping[str, str], broker_url: str, bucket: str
) -> Iterator[RunningStack]:
    settings = {
        "BROKER_URL": broker_url,
        "STORAGE_URL": bucket,
        "KHRONIKA_STORAGE_KEY_ID": CREDENTIALS.key_id,
        "KHRONIKA_STORAGE_SECRET": CREDENTIALS.secret,
        **logins,
    }
    with running_stack_process(Home(home.root / "stack-on-s3"), settings) as stack:
        yield stack


def test_a_large_upload_becomes_a_playable_video(
    stack: RunningStack, bucket: str, tmp_path: Path
) -> None:
    film = clips.widescreen(tmp_path, locate_tools(environ))
    with film.open("ab") as file:  # an MP4 may hold a box of nothing at its end
        file.write(struct.pack(">I4s", 17 * MIB, b"free") + bytes(17 * MIB - 8))
    storage = open_storage(bucket, CREDENTIALS)
    post_id = uuid4()

    with ApiClient(stack.base_url, stack.token(OWNER)) as client:
        upload_id = client.upload(post_id, film)
        client.create(post_id, Source(upload_id=upload_id))
        *_, last = follow(client, post_id)
    asset = last.asset

    assert asset["status"] == "completed", asset
    assert [stat.size_bytes for stat in storage.list("original")] == [film.stat().st_size]
    manifest = requests.get(asset["manifest_url"], timeout=20)
    assert manifest.status_code == 200
    (playlist, *_) = [line for line in manifest.text.splitlines() if line and line[0] != "#"]
    assert requests.get(urljoin(manifest.url, playlist), timeout=20).status_code == 200
    part = requests.get(asset["fallback_url"], headers={"Range": "bytes=4-7"}, timeout=20)
    assert (part.status_code, part.content) == (206, b"ftyp")
    for log in stack.home.logs.iterdir():
        assert CREDENTIALS.secret not in log.read_text(errors="replace"), log
