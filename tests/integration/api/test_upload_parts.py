"""Large uploads: parts in any order, again and again, resumed, the same way for every storage."""

import hashlib
import os
import struct
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import requests

from pipeline.records.models import Upload, UploadPart
from tests.buckets import CREDENTIALS
from tests.integration.api.conftest import Client, World, serving
from tests.memory import Growth

MIB = 1024 * 1024
PART_BYTES = 8 * MIB
STORAGES = ("a folder", "moto", "localbucket")


@pytest.fixture(params=["a folder"])
def environment(
    request: pytest.FixtureRequest,
    environment: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Mapping[str, str]:
    """As the other tests have it, on a storage of the test's choice."""
    monkeypatch.setenv("KHRONIKA_SOURCE_MAX_BYTES", str(1024 * MIB))
    if request.param != "a folder":
        server = request.getfixturevalue(request.param)
        monkeypatch.setenv("STORAGE_URL", server.make_bucket("videos"))
        monkeypatch.setenv("KHRONIKA_STORAGE_KEY_ID", CREDENTIALS.key_id)
        monkeypatch.setenv("KHRONIKA_STORAGE_SECRET", CREDENTIALS.secret)
    return environment


everywhere = pytest.mark.parametrize("environment", STORAGES, indirect=True)


@pytest.fixture(scope="session")
def film(clip: Path) -> bytes:
    """A real video made large: an MP4 may hold a box of nothing at its end."""
    padding = struct.pack(">I4s", 17 * MIB, b"free") + bytes(17 * MIB - 8)
    return clip.read_bytes() + padding


@dataclass
class Sender:
    """A client of the upload protocol, which knows of no storage."""

    api: Client
    ticket: Mapping[str, Any]
    content: bytes

    @property
    def address(self) -> str:
        return f"/api/uploads/{self.ticket['upload_id']}"

    @property
    def count(self) -> int:
        count: int = self.ticket["parts"]["count"]
        return count

    def call(self, method: str, path: str = "", **options: Any) -> requests.Response:
        return self.api.call(
            method, self.address + path, as_=None, headers=self.ticket["headers"], **options
        )

    def bytes_of(self, number: int) -> bytes:
        return self.content[(number - 1) * PART_BYTES : number * PART_BYTES]

    def request(self, *numbers: int, **body: Any) -> list[dict[str, Any]]:
        answer = self.call("POST", "/parts", json={"numbers": numbers, **body})
        assert answer.status_code == 200, answer.text
        parts: list[dict[str, Any]] = answer.json()["parts"]
        assert [part["number"] for part in parts] == list(numbers)
        return parts

    def put(self, part: Mapping[str, Any], content: Any = None) -> requests.Response:
        return requests.request(
            part["method"],
            part["url"],
            data=self.bytes_of(part["number"]) if content is None else content,
            headers=part["headers"],
            timeout=60,
        )

    def send(self, number: int, content: bytes | None = None) -> requests.Response:
        """Send one part and confirm it."""
        (part,) = self.request(number)
        sent = self.put(part, content)
        assert sent.status_code == 200, sent.text
        return self.confirm(number, sent.headers["ETag"])

    def send_all(self, numbers: Iterable[int] | None = None) -> None:
        with ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(self.send, numbers or range(1, self.count + 1)))
        assert [answer.status_code for answer in answers] == [200] * len(answers)

    def confirm(self, number: int, etag: str | None) -> requests.Response:
        return self.call("POST", f"/parts/{number}", json={"etag": etag})

    def progress(self) -> dict[str, Any]:
        answer = self.call("GET")
        assert answer.status_code == 200, answer.text
        progress: dict[str, Any] = answer.json()
        return progress

    def arrived(self) -> list[int]:
        return [part["number"] for part in self.progress()["parts"]]

    def complete(self) -> requests.Response:
        return self.api.post(f"{self.address}/complete")

    def stored(self, world: World) -> bytes:
        key = world.only(Upload).storage_key
        return b"".join(self.api.services.storage.read(key))


def begin(api: Client, content: bytes, size_bytes: int | None = None, **body: Any) -> Sender:
    answer = api.post(
        "/api/uploads",
        {
            "post_id": str(uuid4()),
            "filename": "film.mp4",
            "size_bytes": size_bytes or len(content),
            "mime_type": "video/mp4",
            **body,
        },
    )
    assert answer.status_code == 201, answer.text
    return Sender(api, answer.json(), content)


@pytest.fixture
def sender(api: Client, film: bytes) -> Sender:
    return begin(api, film)


def code_of(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@everywhere
def test_a_large_file_is_sent_in_parts_and_becomes_a_video(
    api: Client, world: World, film: bytes
) -> None:
    post_id = uuid4()
    sender = begin(api, film, post_id=str(post_id))
    assert (sender.ticket["method"], sender.ticket["url"]) == (None, None)
    assert sender.ticket["parts"]["size_bytes"] == PART_BYTES
    assert sender.count == 3

    sender.send_all([3, 1, 2])
    measured = sender.complete()

    assert measured.status_code == 200, measured.text
    assert (measured.json()["width"], measured.json()["size_bytes"]) == (640, len(film))
    assert sender.stored(world) == film
    created = api.create(post_id, upload_id=sender.ticket["upload_id"])
    assert created.status_code == 202
    assert world.asset(sender.ticket["upload_id"]).source_size_bytes == len(film)


@everywhere
def test_a_client_that_lost_everything_but_its_ticket_goes_on_from_what_has_arrived(
    sender: Sender,
) -> None:
    assert sender.arrived() == []
    sender.send(2)

    progress = sender.progress()
    missing = {1, 2, 3} - {part["number"] for part in progress["parts"]}

    assert missing == {1, 3}
    assert (progress["received_bytes"], progress["part_count"]) == (PART_BYTES, 3)
    assert code_of(sender.complete()) == (409, "upload_incomplete")
    sender.send_all(sorted(missing))
    assert sender.complete().status_code == 200
    assert sender.progress()["completed_at"] is not None


@everywhere
def test_the_last_content_of_a_part_counts_and_then_no_other(
    sender: Sender, world: World, film: bytes
) -> None:
    sender.send(1, b"x" * PART_BYTES)
    sender.send_all()
    (late,) = sender.request(1)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: sender.complete(), range(2)))
    done = sender.complete()
    assert done.status_code == 200
    for answer in answers:
        if answer.status_code == 200:
            assert answer.json() == done.json()
        else:
            assert code_of(answer) == (409, "upload_in_check")

    assert sender.put(late, b"x" * PART_BYTES).status_code >= 400
    assert code_of(sender.confirm(1, '"else"')) == (409, "upload_completed")
    assert code_of(sender.call("DELETE")) == (409, "upload_completed")
    assert sender.stored(world) == film


@everywhere
def test_parts_that_are_not_there_after_all_are_asked_for_again(sender: Sender) -> None:
    sender.send_all([1, 2])
    sender.confirm(3, "0123456789abcdef")
    assert sender.arrived() == [1, 2, 3]

    answer = sender.complete()

    assert code_of(answer) == (409, "upload_incomplete")
    assert 3 not in sender.arrived()
    sender.send_all(sorted({1, 2, 3} - set(sender.arrived())))
    assert sender.complete().status_code == 200


@pytest.mark.parametrize("environment", ["a folder", "moto"], indirect=True)
def test_a_page_that_sees_no_etag_confirms_its_parts_all_the_same(
    sender: Sender, world: World, film: bytes
) -> None:
    assert code_of(sender.confirm(1, None)) == (409, "part_missing")
    for part in sender.request(1, 2, 3):
        assert sender.put(part).status_code == 200
        assert sender.confirm(part["number"], None).status_code == 200

    assert sender.complete().status_code == 200
    assert sender.stored(world) == film


@pytest.mark.parametrize("environment", ["localbucket"], indirect=True)
def test_where_nobody_can_tell_it_is_said_what_the_bucket_lacks(sender: Sender) -> None:
    (part,) = sender.request(1)
    assert sender.put(part).status_code == 200
    answer = sender.confirm(1, None)
    assert code_of(answer) == (422, "etag_hidden")
    assert "expose ETag" in answer.json()["detail"]


@everywhere
def test_what_is_given_up_is_gone_and_takes_nothing_more(api: Client, sender: Sender) -> None:
    sender.send(1)
    (late,) = sender.request(2)

    assert [sender.call("DELETE").status_code for _ in range(2)] == [204, 204]

    assert sender.put(late).status_code >= 400
    assert code_of(sender.complete()) == (409, "upload_expired")
    storage = api.services.storage
    assert list(storage.list()) == []
    assert storage.remove_unfinished(older_than_sec=0) == 0


@everywhere
def test_what_is_no_video_is_refused_whatever_its_size(api: Client, world: World) -> None:
    sender = begin(api, b"<!doctype html>" + b" " * 16 * MIB)
    sender.send_all()

    for _ in range(2):
        assert code_of(sender.complete()) == (422, "unsupported_media")
    assert code_of(api.create(upload_id=sender.ticket["upload_id"])) == (404, "upload_not_found")


@everywhere
def test_a_small_file_is_one_request_on_every_storage(
    api: Client, world: World, clip: Path
) -> None:
    sender = begin(api, clip.read_bytes())
    assert sender.ticket["parts"] is None
    sent = requests.put(
        sender.ticket["url"], data=sender.content, headers=sender.ticket["headers"], timeout=60
    )
    assert sent.status_code == 200, sent.text
    assert sender.complete().status_code == 200
    assert sender.stored(world) == sender.content


@pytest.mark.parametrize(
    ("header", "digest"),
    [
        ("Content-Digest", lambda body: f"sha-256=:{base64(hashlib.sha256(body))}:"),
        ("Content-MD5", lambda body: base64(hashlib.md5(body))),
    ],
)
def test_what_is_not_what_was_sent_is_refused_on_arrival(
    sender: Sender, header: str, digest: Any
) -> None:
    body = sender.bytes_of(3)
    (part,) = sender.request(3)
    part["headers"][header] = digest(body)

    refused = sender.put(part, b"x" * len(body))
    assert code_of(refused) == (422, "checksum_mismatch")
    assert sender.arrived() == []
    assert sender.put(part, body).status_code == 200
    assert sender.arrived() == [3]


@pytest.mark.parametrize("environment", ["a folder", "localbucket"], indirect=True)
def test_what_arrives_is_held_to_a_digest_that_was_told_beforehand(sender: Sender) -> None:
    body = sender.bytes_of(3)
    (part,) = sender.request(3, md5={"3": base64(hashlib.md5(body))})

    assert sender.put(part, b"x" * len(body)).status_code in (400, 422)
    assert sender.put(part, body).status_code == 200


@pytest.mark.parametrize("value", ["sha-256=:AAAA:", "sha-256=:?:"])
def test_a_digest_that_is_none_is_refused(sender: Sender, value: str) -> None:
    (part,) = sender.request(3)
    part["headers"]["Content-Digest"] = value
    assert code_of(sender.put(part)) == (400, "checksum_invalid")


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("change", "refusal"),
    [(1, (413, "part_too_large")), (-1, (422, "part_too_short"))],
)
def test_a_part_has_its_size_to_the_byte(
    sender: Sender, api: Client, chunked: bool, change: int, refusal: tuple[int, str]
) -> None:
    (part,) = sender.request(3)
    body = bytes(part["size_bytes"] + change)

    assert code_of(sender.put(part, iter([body]) if chunked else body)) == refusal

    assert sender.arrived() == []
    assert api.services.storage.remove_unfinished(older_than_sec=0, dry_run=True) == 0


def test_first_parts_that_come_at_once_leave_nothing_behind(api: Client, sender: Sender) -> None:
    sender.send_all()
    assert sender.complete().status_code == 200

    root = Path(urlsplit(api.services.settings.storage.url).path)
    assert list((root / ".incoming").iterdir()) == []


@pytest.mark.parametrize("number", [0, 4, 10_001])
def test_there_are_no_other_parts(sender: Sender, number: int) -> None:
    put = sender.call("PUT", f"/parts/{number}", data=b"x")
    confirmed = sender.confirm(number, "x")
    assert code_of(put) == code_of(confirmed) == (404, "part_not_found")


def test_a_large_file_is_not_taken_in_one_request(sender: Sender) -> None:
    answer = sender.call("PUT", "/content", data=b"x")
    assert code_of(answer) == (409, "upload_in_parts")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "/parts", {"numbers": [1]}),
        ("PUT", "/parts/1", None),
        ("POST", "/parts/1", {"etag": "x"}),
    ],
)
def test_without_the_ticket_there_is_no_upload(
    api: Client, sender: Sender, method: str, path: str, body: Any
) -> None:
    other = begin(api, sender.content)
    strangers: list[dict[str, str]] = [{}, other.ticket["headers"]]
    for headers in strangers:
        answer = api.call(method, sender.address + path, json=body, headers=headers)
        assert code_of(answer) == (404, "upload_not_found")


def test_a_disk_that_is_full_keeps_nothing_and_says_try_again(
    sender: Sender, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (part,) = sender.request(1)
    opened = Path.open

    def full(path: Path, *arguments: Any, **options: Any) -> Any:
        file = opened(path, *arguments, **options)
        if ".incoming" in path.parts and "w" in "".join(arguments):
            file.close()
            return opened(Path("/dev/full"), "wb")
        return file

    with monkeypatch.context() as broken:
        broken.setattr(Path, "open", full)
        assert code_of(sender.put(part)) == (503, "storage_unavailable")

    assert world.count(UploadPart) == 0
    assert sender.put(part).status_code == 200


def test_a_part_is_never_held_in_memory(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    part_bytes = 64 * MIB
    monkeypatch.setenv("KHRONIKA_UPLOAD_PART_BYTES", str(part_bytes))
    with serving(monkeypatch) as api:
        sender = begin(api, b"", 3 * part_bytes)
        parts = sender.request(1, 2, 3)
        here = Growth(["self"])

        for part in parts:
            assert sender.put(part, blocks(part["size_bytes"])).status_code == 200

        assert here.most_bytes() < part_bytes / 2
        assert sender.progress()["received_bytes"] == 3 * part_bytes


def blocks(size_bytes: int) -> Iterator[bytes]:
    block = os.urandom(64 * 1024)
    for _ in range(size_bytes // len(block)):
        yield block


def base64(digest: Any) -> str:
    return b64encode(digest.digest()).decode()
