"""Direct uploads: ticket, content, checks, and a video made of them."""

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
import requests
from sqlalchemy import update

from pipeline.records.models import Upload, UploadPart
from pipeline.runtime.database import session_of
from pipeline.storage.local import MARKER
from tests.conditions import wait_until
from tests.integration.api.conftest import (
    OWNER,
    STRANGER,
    Client,
    World,
)


def ticket(api: Client, size_bytes: int, **body: Any) -> dict[str, Any]:
    answer = api.post("/api/uploads", wanted(size_bytes, **body))
    assert answer.status_code == 201, answer.text
    issued: dict[str, Any] = answer.json()
    return issued


def wanted(size_bytes: int, **body: Any) -> dict[str, Any]:
    return {
        "post_id": str(uuid4()),
        "filename": "holiday.MP4",
        "size_bytes": size_bytes,
        "mime_type": "video/mp4",
        **body,
    }


def put(issued: dict[str, Any], content: Any, **headers: str) -> requests.Response:
    return requests.request(
        issued["method"],
        issued["url"],
        data=content,
        headers={**issued["headers"], **headers},
        timeout=60,
    )


def complete(api: Client, issued: dict[str, Any], **options: Any) -> requests.Response:
    return api.post(f"/api/uploads/{issued['upload_id']}/complete", **options)


def files(api: Client) -> list[Path]:
    """Every file in the storage, half-written ones included."""
    root = Path(urlsplit(api.services.settings.storage.url).path)
    return [path for path in root.rglob("*") if path.is_file() and path.name != MARKER]


def test_a_video_is_sent_checked_and_registered(api: Client, world: World, clip: Path) -> None:
    content = clip.read_bytes()
    post_id = str(uuid4())
    issued = ticket(api, len(content), post_id=post_id)
    assert issued.keys() == {"upload_id", "method", "url", "headers", "parts", "expires_at"}
    sent = put(issued, content)
    assert (sent.status_code, sent.json()["received_bytes"]) == (200, len(content))
    checked = complete(api, issued)
    assert checked.status_code == 200
    measured = checked.json()
    assert (measured["width"], measured["height"]) == (640, 360)
    assert measured["size_bytes"] == len(content)
    assert measured["duration_sec"] == pytest.approx(2, abs=0.1)

    created = api.create(UUID(post_id), upload_id=issued["upload_id"])
    assert created.status_code == 202
    assert created.json()["id"] == issued["upload_id"]
    key = f"original/{OWNER}/{post_id}/{issued['upload_id']}/source.mp4"
    assert b"".join(api.services.storage.read(key)) == content
    assert world.asset(issued["upload_id"]).source_size_bytes == len(content)


def test_completing_again_changes_nothing(api: Client, clip: Path) -> None:
    content = clip.read_bytes()
    issued = ticket(api, len(content))
    put(issued, content)
    assert complete(api, issued).json() == complete(api, issued).json()


def test_what_is_completed_can_no_longer_be_replaced(api: Client, clip: Path) -> None:
    content = clip.read_bytes()
    issued = ticket(api, len(content))
    put(issued, content)
    complete(api, issued)
    answer = put(issued, b"x" * len(content))
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_completed")
    (stored,) = files(api)
    assert stored.read_bytes() == content


def test_a_sender_still_busy_when_it_is_completed_replaces_nothing(
    api: Client, world: World, clip: Path
) -> None:
    content = clip.read_bytes()
    issued = ticket(api, len(content))
    put(issued, content)

    def slow() -> Iterator[bytes]:
        yield b"x"
        assert complete(api, issued).status_code == 200
        yield b"x" * (len(content) - 1)

    answer = put(issued, slow())
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_completed")
    (stored,) = files(api)
    assert stored.read_bytes() == content


def test_until_then_the_last_content_counts(api: Client, clip: Path) -> None:
    content = clip.read_bytes()
    issued = ticket(api, len(content))
    put(issued, b"\0" * len(content))
    put(issued, content)
    assert complete(api, issued).status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_more_than_was_declared_is_cut_off_and_leaves_no_file(api: Client, chunked: bool) -> None:
    issued = ticket(api, 1000)
    content = b"x" * 3_000_000
    answer = put(issued, iter([content]) if chunked else content)
    assert (answer.status_code, answer.json()["code"]) == (413, "source_too_large")
    assert files(api) == []
    assert complete(api, issued).json()["code"] == "upload_incomplete"


def test_less_than_was_declared_is_incomplete(api: Client, clip: Path) -> None:
    content = clip.read_bytes()
    issued = ticket(api, len(content))
    assert complete(api, issued).status_code == 409
    short = put(issued, content[:-1])
    assert (short.status_code, short.json()["code"]) == (422, "part_too_short")
    answer = complete(api, issued)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_incomplete")
    assert answer.json()["current"] == {
        "declared_bytes": len(content),
        "received_bytes": 0,
        "missing_parts": 1,
    }


def test_a_connection_that_breaks_leaves_no_file(api: Client, world: World) -> None:
    issued = ticket(api, 1_000_000)
    where = urlsplit(issued["url"])
    connection = http.client.HTTPConnection(where.netloc)
    connection.putrequest("PUT", where.path)
    for name, value in {**issued["headers"], "Content-Length": "1000000"}.items():
        connection.putheader(name, value)
    connection.endheaders(b"x" * 300_000)
    wait_until(lambda: len(files(api)) == 1)  # it is being written
    connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()
    wait_until(lambda: files(api) == [])
    assert world.count(UploadPart) == 0


@pytest.mark.parametrize("given", [None, "", "x", "abc.def.ghi"])
def test_without_the_ticket_there_is_no_upload(api: Client, given: str | None) -> None:
    issued = ticket(api, 10)
    issued["headers"] = {} if given is None else {"X-Upload-Token": given}
    answer = put(issued, b"x")
    assert (answer.status_code, answer.json()["code"]) == (404, "upload_not_found")


def test_a_ticket_is_for_one_upload(api: Client) -> None:
    one, other = ticket(api, 10), ticket(api, 10)
    assert put({**one, "headers": other["headers"]}, b"x").status_code == 404


def test_an_expired_ticket_takes_nothing(api: Client, world: World) -> None:
    issued = ticket(api, 10)
    with session_of(world.engine) as session:
        session.execute(update(Upload).values(expires_at=Upload.created_at))
    assert put(issued, b"x").json()["code"] == "upload_expired"
    assert complete(api, issued).json()["code"] == "upload_expired"


def test_somebody_elses_upload_is_not_found(api: Client, clip: Path) -> None:
    content = clip.read_bytes()
    issued = ticket(api, len(content))
    put(issued, content)
    assert complete(api, issued, as_=STRANGER).json()["code"] == "upload_not_found"
    complete(api, issued)
    assert api.create(upload_id=issued["upload_id"], as_=STRANGER).status_code == 404


def test_an_upload_is_completed_before_it_becomes_a_video(
    api: Client, world: World, clip: Path
) -> None:
    post_id = uuid4()
    issued = ticket(api, clip.stat().st_size, post_id=str(post_id))
    put(issued, clip.read_bytes())
    answer = api.create(post_id, upload_id=issued["upload_id"])
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_incomplete")
    assert world.count() == 0


def test_an_upload_belongs_to_its_post(api: Client, clip: Path) -> None:
    issued = ticket(api, clip.stat().st_size)
    put(issued, clip.read_bytes())
    complete(api, issued)
    assert api.create(upload_id=issued["upload_id"]).json()["code"] == "upload_not_found"


def _truncated(clip: bytes) -> bytes:
    return clip[: len(clip) // 2]


NO_VIDEOS = {
    "an HTML page": (b"<!doctype html><title>not a video</title>", "unsupported_media"),
    "a playlist": (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "unsupported_media"),
    "an image": (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "unsupported_media"),
    "a truncated video": (_truncated, "source_corrupt"),
}


@pytest.mark.parametrize(("content", "code"), NO_VIDEOS.values(), ids=NO_VIDEOS.keys())
def test_what_is_no_video_is_refused_by_its_content_before_anything_is_queued(
    api: Client, world: World, clip: Path, content: Any, code: str
) -> None:
    content = content(clip.read_bytes()) if callable(content) else content
    post_id = uuid4()
    issued = ticket(api, len(content), post_id=str(post_id))
    put(issued, content)
    answer = complete(api, issued)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert api.create(post_id, upload_id=issued["upload_id"]).status_code == 409
    assert world.count() == 0


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (wanted(10_000_001), 413, "source_too_large"),
        (wanted(0), 422, "source_empty"),
        (wanted(-1), 422, "validation_failed"),
        (wanted(10, mime_type="image/png"), 422, "unsupported_media"),
        (wanted(10, post_id="x"), 422, "validation_failed"),
        (wanted(10, filename=""), 422, "validation_failed"),
        (wanted(10, filename="a\u0000.mp4"), 422, "validation_failed"),
        (wanted(10, colour="red"), 422, "validation_failed"),
        ({}, 422, "validation_failed"),
    ],
)
def test_a_ticket_that_could_come_to_nothing_is_not_issued(
    api: Client, world: World, body: dict[str, Any], status: int, code: str
) -> None:
    answer = api.post("/api/uploads", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert world.count(Upload) == 0


@pytest.mark.parametrize("name", ["../../etc/passwd", "x", "x.", ".mp4", "a.MP4/..", "ü.m p4"])
def test_a_name_never_leads_out_of_the_owners_folder(api: Client, name: str) -> None:
    issued = ticket(api, 1, filename=name)
    assert put(issued, b"x").status_code == 200
    assert complete(api, issued).json()["code"] == "unsupported_media"
    (stored,) = files(api)
    assert stored.parts[-5:-3] == ("original", OWNER)


@pytest.mark.parametrize("owner", ["a/b", "..", ".hidden", "ü" * 128, "auth0|17", "a b"])
def test_any_owner_can_upload(api: Client, owner: str) -> None:
    answer = api.post("/api/uploads", wanted(1), as_=owner)
    assert answer.status_code == 201
    assert put(answer.json(), b"x").status_code == 200
