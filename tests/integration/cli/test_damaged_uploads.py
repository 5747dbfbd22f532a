"""Content damaged by the network is refused, and sent again."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from requests import PreparedRequest
from requests.adapters import HTTPAdapter

from cli import file_upload
from pipeline.records.models import Upload
from tests.buckets import CREDENTIALS
from tests.integration.api.conftest import Client, World
from tests.integration.cli.conftest import khronika

MIB = 1024 * 1024


@pytest.fixture(params=["a folder", "localbucket"])
def environment(
    request: pytest.FixtureRequest,
    environment: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Mapping[str, str]:
    monkeypatch.setenv("KHRONIKA_SOURCE_MAX_BYTES", str(100 * MIB))
    if request.param != "a folder":
        server = request.getfixturevalue(request.param)
        monkeypatch.setenv("STORAGE_URL", server.make_bucket("videos"))
        monkeypatch.setenv("KHRONIKA_STORAGE_KEY_ID", CREDENTIALS.key_id)
        monkeypatch.setenv("KHRONIKA_STORAGE_SECRET", CREDENTIALS.secret)
    return environment


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The statuses of the PUT requests; the network changes a bit of the first one."""
    send, answers = HTTPAdapter.send, list[int]()

    def damaging(adapter: HTTPAdapter, request: PreparedRequest, **options: Any) -> Any:
        if request.method != "PUT":
            return send(adapter, request, **options)
        content = bytearray(b"".join(request.body))  # type: ignore[arg-type] # it is a FileSlice
        content[-1] ^= not answers
        request.body = bytes(content)
        answer = send(adapter, request, **options)
        answers.append(answer.status_code)
        return answer

    monkeypatch.setattr(HTTPAdapter, "send", damaging)
    monkeypatch.setattr(file_upload, "AT_ONCE", 1)
    monkeypatch.setattr(file_upload, "PAUSE_SEC", 0.01)
    return answers


@pytest.fixture(params=[8, 17 * MIB], ids=["in one request", "in parts"])
def film(request: pytest.FixtureRequest, clip: Path, tmp_path: Path) -> Path:
    """A real video with an empty box at its end."""
    film = tmp_path / "film.mp4"
    padding = struct.pack(">I4s", request.param, b"free") + bytes(request.param - 8)
    film.write_bytes(clip.read_bytes() + padding)
    return film


@pytest.fixture
def ana(ana: Mapping[str, str], tmp_path: Path) -> Mapping[str, str]:
    return {**ana, "XDG_STATE_HOME": str(tmp_path / "state")}


def test_what_is_damaged_on_its_way_is_refused_and_sent_again(
    api: Client, world: World, ana: Mapping[str, str], answers: list[int], film: Path
) -> None:
    ran = khronika("submit", film, "--json", env=ana)

    assert ran.code == 0, ran.err
    assert answers[0] in (422, 400)
    assert set(answers[1:]) == {200}
    storage = api.services.storage
    assert b"".join(storage.read(world.only(Upload).storage_key)) == film.read_bytes()
