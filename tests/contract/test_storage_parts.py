"""What every storage driver does with an object that arrives in parts."""

from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from pipeline.storage.base import KeyRefused, ObjectMissing, PartsRefused, Storage
from pipeline.storage.multipart import Multipart, Part

KEY = "original/ana/post/asset/source.mp4"
FIRST = b"1" * 5 * 1024 * 1024  # the least S3 takes as a part that is not the last
LAST = b"two"
ENDED = (PartsRefused, OSError)
"""S3 says that there is no such upload; moto answers 500."""


def content(storage: Storage) -> bytes:
    return b"".join(storage.read(KEY))


def put(storage: Storage, multipart: Multipart, number: int, body: bytes) -> Part:
    return storage.put_part(multipart, number, (number - 1) * len(FIRST), [body[:10], body[10:]])


@pytest.fixture
def multipart(storage: Storage) -> Multipart:
    return storage.start_multipart(KEY)


def test_parts_in_any_order_become_the_object(storage: Storage, multipart: Multipart) -> None:
    last = put(storage, multipart, 2, LAST)
    first = put(storage, multipart, 1, FIRST)

    storage.complete_multipart(multipart, [first, last])

    assert content(storage) == FIRST + LAST
    assert storage.stat(KEY).content_type == "video/mp4"


def test_nothing_is_readable_before_it_is_completed(storage: Storage, multipart: Multipart) -> None:
    put(storage, multipart, 1, FIRST)

    assert list(storage.list()) == []
    with pytest.raises(ObjectMissing):
        storage.stat(KEY)


def test_a_part_says_its_number_its_size_and_what_it_holds(
    storage: Storage, multipart: Multipart
) -> None:
    part = put(storage, multipart, 2, LAST)

    assert (part.number, part.size_bytes) == (2, 3)
    assert part.etag == put(storage, multipart, 2, LAST).etag
    assert part.etag != put(storage, multipart, 2, b"TWO").etag
    assert '"' not in part.etag


def test_the_last_content_of_a_part_counts(storage: Storage, multipart: Multipart) -> None:
    put(storage, multipart, 1, b"earlier, and longer")
    part = put(storage, multipart, 1, LAST)

    storage.complete_multipart(multipart, [part])

    assert content(storage)[:3] == LAST


def test_parts_that_are_there_are_listed_where_the_server_can(
    storage: Storage, multipart: Multipart
) -> None:
    parts = [put(storage, multipart, 1, FIRST), put(storage, multipart, 2, LAST)]

    assert storage.list_parts(multipart) in (parts, None)
    assert storage.list_parts(multipart, only=2) in (parts[1:], None)
    assert storage.list_parts(multipart, only=3) in ([], None)


def test_several_senders_at_once_leave_one_part_whole(
    storage: Storage, multipart: Multipart
) -> None:
    with ThreadPoolExecutor(4) as pool:
        bodies = [bytes([n]) * 1_000_000 for n in range(4)]
        sent = list(pool.map(lambda body: put(storage, multipart, 1, body), bodies))

    completed = []
    for part in sent:
        try:
            storage.complete_multipart(multipart, [part])
        except PartsRefused:
            continue
        completed.append(part)

    assert completed
    assert content(storage) in bodies


def test_a_part_that_breaks_off_is_not_there(storage: Storage, multipart: Multipart) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        storage.put_part(multipart, 1, 0, broken())

    with pytest.raises(PartsRefused):
        storage.complete_multipart(multipart, [Part(1, 4, "0" * 64)])


def test_a_part_that_breaks_off_leaves_the_one_it_would_replace(
    storage: Storage, multipart: Multipart
) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x"
        raise ConnectionResetError

    part = put(storage, multipart, 1, LAST)
    with pytest.raises(ConnectionResetError):
        storage.put_part(multipart, 1, 0, broken())
    storage.complete_multipart(multipart, [part])

    assert content(storage) == LAST


def test_completing_again_changes_nothing(storage: Storage, multipart: Multipart) -> None:
    part = put(storage, multipart, 1, LAST)
    storage.complete_multipart(multipart, [part])
    before = storage.stat(KEY)

    storage.complete_multipart(multipart, [part])

    assert storage.stat(KEY) == before


@pytest.mark.parametrize("wrong", [Part(1, 3, "f" * 64), Part(2, 3, "f" * 64)])
def test_what_is_not_there_cannot_be_made_an_object_of(
    storage: Storage, multipart: Multipart, wrong: Part
) -> None:
    part = put(storage, multipart, 1, LAST)
    with pytest.raises(PartsRefused):
        storage.complete_multipart(multipart, [wrong])

    storage.complete_multipart(multipart, [part])
    assert content(storage) == LAST


def test_after_completion_no_part_changes_the_object(
    storage: Storage, multipart: Multipart
) -> None:
    storage.complete_multipart(multipart, [put(storage, multipart, 1, LAST)])

    with pytest.raises(ENDED):
        put(storage, multipart, 1, b"TWO")
    assert content(storage) == LAST


def test_what_is_aborted_is_gone(storage: Storage, multipart: Multipart) -> None:
    part = put(storage, multipart, 1, LAST)

    storage.abort_multipart(multipart)
    storage.abort_multipart(multipart)

    with pytest.raises(ENDED):
        storage.complete_multipart(multipart, [part])
    with pytest.raises(ENDED):
        put(storage, multipart, 1, LAST)
    assert list(storage.list()) == []


def test_aborting_what_is_completed_changes_nothing(storage: Storage, multipart: Multipart) -> None:
    storage.complete_multipart(multipart, [put(storage, multipart, 1, LAST)])

    storage.abort_multipart(multipart)

    assert content(storage) == LAST


def test_what_is_never_completed_is_removed_in_time(storage: Storage, multipart: Multipart) -> None:
    part = put(storage, multipart, 1, LAST)
    if storage.list_parts(multipart) is None:  # such a server lists no uploads either
        assert storage.remove_unfinished(older_than_sec=0) == 0
        return

    assert storage.remove_unfinished(older_than_sec=0, dry_run=True) == 3
    assert storage.remove_unfinished(older_than_sec=0) == 3
    assert storage.remove_unfinished(older_than_sec=0) == 0
    with pytest.raises(ENDED):
        storage.complete_multipart(multipart, [part])


def test_a_key_that_could_lead_astray_takes_no_parts(storage: Storage) -> None:
    with pytest.raises(KeyRefused):
        storage.start_multipart("../a")


def test_a_part_is_sent_directly_with_a_signed_request(
    storage: Storage, multipart: Multipart
) -> None:
    digest = b64encode(md5(LAST).digest()).decode()
    signed = storage.presign_part(multipart, 1, size_bytes=3, md5=digest, expires_sec=60)
    if signed is None:  # then the API takes it
        return

    sent = requests.request(
        signed.method, signed.url, data=LAST, headers=dict(signed.headers), timeout=60
    )

    assert sent.status_code == 200, sent.text
    storage.complete_multipart(multipart, [Part(1, 3, sent.headers["ETag"].strip('"'))])
    assert content(storage) == LAST


def test_size_and_digest_of_a_part_are_under_the_signature(
    storage: Storage, multipart: Multipart
) -> None:
    signed = storage.presign_part(multipart, 1, size_bytes=3, md5="AAAA", expires_sec=60)
    if signed is None:
        return
    query = parse_qs(urlsplit(signed.url).query)

    assert query["X-Amz-SignedHeaders"] == ["content-length;content-md5;host"]
    assert query["X-Amz-Expires"] == ["60"]
    assert signed.headers["Content-MD5"] == "AAAA"
    assert signed.url not in repr(signed)


def test_a_signed_address_reads_the_object_or_there_is_none(storage: Storage) -> None:
    storage.write(KEY, [b"0123456789"])

    url = storage.presign_get(KEY, expires_sec=60)

    if url is not None:
        answer = requests.get(url, headers={"Range": "bytes=2-4"}, timeout=60)
        assert (answer.status_code, answer.content) == (206, b"234")


def test_publishing_tells_that_it_goes_on_and_ends_when_told(
    storage: Storage, tmp_path: Path
) -> None:
    for name in ("master.m3u8", "a.m4s"):
        (tmp_path / name).write_bytes(b"x")

    def lost() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        storage.publish_folder(tmp_path, "processed/1/1", beat=lost)
    assert "processed/1/1/master.m3u8" not in [stat.key for stat in storage.list()]


def test_a_large_stream_is_stored_whole(storage: Storage) -> None:
    piece = bytes(range(256)) * 4096

    storage.write(KEY, (piece for _ in range(20)))

    assert content(storage) == piece * 20
