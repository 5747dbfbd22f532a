"""A large file, sent again after its upload was interrupted."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from pipeline.records.models import Upload, UploadPart
from pipeline.runtime.database import session_of
from pipeline.storage.base import PartsRefused
from tests.integration.api.conftest import Client, World, token
from tests.integration.cli.conftest import Ran, khronika

MIB = 1024 * 1024


@pytest.fixture
def environment(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    monkeypatch.setenv("KHRONIKA_SOURCE_MAX_BYTES", str(100 * MIB))
    return environment


@pytest.fixture
def film(clip: Path, tmp_path: Path) -> Path:
    """A real video made large by an empty box at its end, which an MP4 may have."""
    film = tmp_path / "film.mp4"
    padding = struct.pack(">I4s", 17 * MIB, b"free") + bytes(17 * MIB - 8)
    film.write_bytes(clip.read_bytes() + padding)
    return film


@pytest.fixture
def ana(ana: Mapping[str, str], tmp_path: Path) -> Mapping[str, str]:
    return {**ana, "XDG_STATE_HOME": str(tmp_path / "state")}


def arrived(world: World) -> dict[int, Any]:
    """The instants at which the parts arrived, by number."""
    with session_of(world.engine) as session:
        return {part.number: part.received_at for part in session.scalars(select(UploadPart))}


@pytest.fixture
def cut_short(
    api: Client, ana: Mapping[str, str], film: Path, monkeypatch: pytest.MonkeyPatch
) -> Ran:
    """An upload whose last part could not be sent."""
    storage = api.services.storage
    put_part = storage.put_part

    def losing(multipart: Any, number: int, *arguments: Any) -> Any:
        if number == 3:
            raise PartsRefused
        return put_part(multipart, number, *arguments)

    with monkeypatch.context() as lost:
        lost.setattr(storage, "put_part", losing)
        return khronika("submit", film, "--json", env=ana)


def test_it_goes_on_where_it_ended_and_for_the_same_post(
    cut_short: Ran, ana: Mapping[str, str], world: World, film: Path, tmp_path: Path
) -> None:
    assert cut_short.code != 0
    before = arrived(world)
    assert before.keys() == {1, 2}
    (kept,) = (tmp_path / "state").rglob("*.json")
    assert kept.stat().st_mode & 0o077 == 0  # a ticket is an authority

    renewed = {**ana, "KHRONIKA_TOKEN": token("ana", jti="another")}
    ran = khronika("submit", film, "--json", env=renewed)

    assert ran.code == 0, ran.err
    after = arrived(world)
    assert {number: after[number] for number in before} == before
    assert ran.document["post_id"] == str(world.only(Upload).post_id)
    assert not kept.exists()


def test_a_file_that_has_changed_since_begins_anew(
    cut_short: Ran, ana: Mapping[str, str], world: World, film: Path
) -> None:
    assert cut_short.code != 0
    with film.open("ab") as file:
        file.write(struct.pack(">I4s", 8, b"free"))

    ran = khronika("submit", film, "--json", env=ana)

    assert ran.code == 0, ran.err
    assert world.count(Upload) == 2
