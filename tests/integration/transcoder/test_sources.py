"""Sources of jobs: read from a storage by their key, or from an address that is then forgotten."""

import os
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from pipeline.net.fetch import FetchRefused, Version
from pipeline.runtime.database import session_of
from tests.integration.transcoder.conftest import Client, row
from transcoder.services import TranscoderServices
from transcoder.stored_source_copy import copy_source
from transcoder.transcode import transcode

KEY = "original/ana/post/upload/source.mp4"
SAMPLE = Path("tests/media/big-buck-bunny-720p-5s.mp4")
OPENING = "?X-Amz-Signature=abc123&token=opens"


def stored(client: Client, key: str = KEY) -> dict[str, object]:
    body = client.request(SAMPLE, uuid4())
    del body["source_url"]
    return body | {"source": {"storage": "default", "key": key}}


def test_a_source_in_a_storage_is_encoded_by_its_key_alone(
    client: Client, services: TranscoderServices
) -> None:
    services.storages["default"].write(KEY, [SAMPLE.read_bytes()])
    job_id = uuid4()
    assert client.put(stored(client), job_id).status_code == 201

    transcode(services, job_id)

    assert client.get(job_id)["status"] == "completed"
    assert row(services, job_id).request["source"] == {"storage": "default", "key": KEY}
    assert "://" not in str(row(services, job_id).request)


def test_a_source_that_is_gone_fails_its_job(client: Client, services: TranscoderServices) -> None:
    job_id = uuid4()
    client.put(stored(client), job_id)
    transcode(services, job_id)
    failed = client.get(job_id)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "source_unreachable")


def test_a_source_that_is_too_large_is_not_copied(
    services: TranscoderServices, tmp_path: Path
) -> None:
    storage = services.storages["default"]
    storage.write(KEY, [b"12345"])
    with pytest.raises(FetchRefused, match="source_too_large"):
        copy_source(
            storage,
            KEY,
            tmp_path / "source",
            max_bytes=4,
            version=Version(None, None),
            beat=lambda: None,
        )
    assert not (tmp_path / "source").exists()


@pytest.mark.parametrize("measured", [{"source_size_bytes": 4}, {"source_etag": '"x"'}])
def test_a_source_that_changed_since_it_was_measured_fails_its_job(
    client: Client, services: TranscoderServices, measured: dict[str, object]
) -> None:
    services.storages["default"].write(KEY, [b"12345"])
    job_id = uuid4()
    client.put(stored(client) | measured, job_id)
    transcode(services, job_id)
    assert client.get(job_id)["error"]["code"] == "source_changed"


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("processed/a/b/master.m3u8", "invalid_request"),
        ("original/../processed/a", "invalid_request"),
        ("original", "invalid_request"),
        ("/etc/passwd", "invalid_request"),
    ],
)
def test_no_job_reads_another_object_than_a_source(client: Client, key: str, code: str) -> None:
    refused = client.put(stored(client, key), uuid4())
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (422, code)


def test_a_job_has_one_source_in_a_known_storage(client: Client) -> None:
    body = stored(client)
    for wrong, code in (
        (body | {"source_url": "http://127.0.0.1:1/a.mp4"}, "invalid_request"),
        ({name: body[name] for name in body if name != "source"}, "invalid_request"),
        (body | {"source": {"storage": "theirs", "key": KEY}}, "unknown_storage"),
    ):
        refused = client.put(wrong, uuid4())
        assert (refused.status_code, refused.get_json()["error"]["code"]) == (422, code)


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
def test_an_ended_job_has_forgotten_how_its_source_is_opened_and_still_knows_it(
    client: Client, services: TranscoderServices, clip_folder: Path, end: str
) -> None:
    job_id = uuid4()
    name = "missing.mp4" if end == "failed" else "source.mp4"
    (clip_folder / "source.mp4").write_bytes(SAMPLE.read_bytes())
    body = client.request(Path(name), job_id)
    body["source_url"] += OPENING
    assert client.put(body, job_id).status_code == 201
    assert client.put(body, job_id).status_code == 200

    if end == "cancelled":
        client.delete(job_id)
    else:
        transcode(services, job_id)

    assert client.get(job_id)["status"] == end
    kept = row(services, job_id).request
    assert kept["source_url"] == f"{client.source_url}/{name}"
    assert "opens" not in str(kept)
    assert client.put(body, job_id).status_code == 200
    assert client.put(body | {"source_url": body["source_url"] + "x"}, job_id).status_code == 409


@pytest.mark.parametrize("is_over", [False, True], ids=["open", "over"])
def test_a_row_without_a_digest_knows_its_source_by_the_address(
    client: Client, services: TranscoderServices, is_over: bool
) -> None:
    job_id = uuid4()
    body = client.request(Path("source.mp4"), job_id)
    body["source_url"] += OPENING
    client.put(body, job_id)
    with session_of(services.engine) as session:
        session.execute(text("UPDATE transcoder.jobs SET request = request - 'source_sha256'"))
    if is_over:
        client.delete(job_id)

    assert client.put(body, job_id).status_code == 200
    assert client.put(body | {"source_url": body["source_url"] + "x"}, job_id).status_code == 409
    assert ("opens" in str(row(services, job_id).request)) is not is_over


def test_a_source_that_shrinks_while_it_is_copied_is_copied_again(
    services: TranscoderServices, tmp_path: Path
) -> None:
    storage = services.storages["default"]
    storage.write(KEY, [bytes(4 * 1024 * 1024)])
    path = storage.local_path(KEY)
    assert path is not None
    with pytest.raises(FetchRefused) as refused:
        copy_source(
            storage,
            KEY,
            tmp_path / "source",
            max_bytes=10**9,
            version=Version(None, None),
            beat=lambda: os.truncate(path, 1),
        )
    assert (refused.value.code, refused.value.transient) == ("source_unreachable", True)


def test_no_row_of_the_transcoder_keeps_a_token_of_ours(
    client: Client, services: TranscoderServices
) -> None:
    services.storages["default"].write(KEY, [SAMPLE.read_bytes()])
    client.put(stored(client), uuid4())
    with session_of(services.engine) as session:
        rows = session.scalars(text("SELECT request::text FROM transcoder.jobs")).all()
    assert rows
    assert "/media/" not in str(rows)
