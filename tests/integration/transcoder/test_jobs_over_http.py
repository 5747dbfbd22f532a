import hmac
from dataclasses import replace
from uuid import uuid4

import pytest
from gunicorn.http.errors import (  # type: ignore[import-untyped]
    ChunkMissingTerminator,
    InvalidChunkSize,
    NoMoreData,
)
from pydantic import SecretStr
from sqlalchemy import make_url

from pipeline.runtime.database import make_engine
from tests.integration.api.test_failover import taking_no_writes
from tests.integration.transcoder.conftest import Client, eventually, row
from tests.shared_run import Databases
from transcoder.app import create_app
from transcoder.services import TranscoderServices

BODY = {
    "source_url": "http://127.0.0.1:1/video.mp4",
    "output": {"storage": "default", "prefix": "processed/a/b", "poster_prefix": "posters/a/b"},
}


def test_putting_a_job_twice_creates_it_once(client: Client) -> None:
    job_id = uuid4()
    first, second = client.put(BODY, job_id), client.put(BODY, job_id)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.get_json() == second.get_json() == client.get(job_id)
    assert first.get_json()["status"] == first.get_json()["step"] == "queued"


def test_a_job_is_found_by_every_spelling_of_its_id(client: Client) -> None:
    job_id = uuid4()
    client.put(BODY, job_id)
    for text in (job_id.hex, str(job_id).upper()):
        shown = client.http.get(f"/v1/jobs/{text}", headers=client.headers)
        assert shown.get_json() == client.get(job_id)
    braced = client.http.get(f"/v1/jobs/{{{job_id}}}", headers=client.headers)
    assert braced.status_code == 404


def test_another_request_under_the_same_id_is_a_conflict(client: Client) -> None:
    job_id = uuid4()
    client.put(BODY, job_id)
    answer = client.put(BODY | {"poster_time_sec": 3}, job_id)
    assert answer.status_code == 409
    assert answer.get_json()["error"]["code"] == "job_conflict"
    assert answer.get_json()["error"]["retryable"] is False


def test_without_the_token_nothing_is_told(client: Client) -> None:
    path = f"/v1/jobs/{uuid4()}"
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer \xfc"}):
        for method in ("GET", "PUT", "DELETE"):
            answer = client.http.open(path, method=method, headers=headers)
            assert answer.status_code == 401
            assert answer.get_json()["error"]["code"] == "unauthorized"


def test_the_previous_token_counts_in_the_overlap_and_not_after_it(
    services: TranscoderServices, client: Client
) -> None:
    old, path = client.headers, f"/v1/jobs/{uuid4()}"
    new = {"Authorization": "Bearer " + "n" * 32}

    def statuses(**changed: object) -> list[int]:
        settings = services.settings.model_copy(update=changed)
        http = create_app(replace(services, settings=settings)).test_client()
        return [http.get(path, headers=headers).status_code for headers in (old, new)]

    present = SecretStr("n" * 32)
    assert statuses() == [404, 401]
    assert statuses(token=present, token_previous=services.settings.token) == [404, 404]
    assert statuses(token=present) == [401, 404]


def test_it_is_the_comparison_in_constant_time_that_decides_on_the_token(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hmac, "compare_digest", lambda *_: False)
    assert client.put(BODY, uuid4()).status_code == 401


def test_health_needs_no_token(client: Client) -> None:
    assert client.http.get("/healthz").status_code == 200
    assert client.http.get("/readyz").status_code == 200


def test_every_answer_carries_a_request_id(client: Client) -> None:
    named = client.http.get("/healthz", headers={"X-Request-Id": "req-1"})
    assert named.headers["X-Request-Id"] == "req-1"
    for path in ("/healthz", "/nowhere", f"/v1/jobs/{uuid4()}"):
        assert client.http.get(path).headers["X-Request-Id"]
    unusable = client.http.get("/healthz", headers={"X-Request-Id": "with spaces in it"})
    assert unusable.headers["X-Request-Id"] != "with spaces in it"


def test_the_request_that_made_a_job_is_remembered(
    client: Client, services: TranscoderServices
) -> None:
    job_id = uuid4()
    headers = client.headers | {"X-Request-Id": "req-made-it"}
    client.http.put(f"/v1/jobs/{job_id}", json=BODY, headers=headers)
    assert row(services, job_id).request_id == "req-made-it"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"surprise": 1}, "invalid_request"),
        ({"source_url": 5}, "invalid_request"),
        ({"poster_time_sec": -1}, "invalid_request"),
        ({"max_profile": "999p"}, "invalid_request"),
        ({"output": BODY["output"] | {"prefix": "../elsewhere"}}, "invalid_request"),  # type: ignore[operator]
        ({"output": BODY["output"] | {"storage": "theirs"}}, "unknown_storage"),  # type: ignore[operator]
        ({"source_url": "file:///etc/passwd"}, "url_refused"),
        ({"source_url": "http://10.0.0.1/video.mp4"}, "url_refused"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_without_a_job(
    client: Client, change: dict[str, object], code: str
) -> None:
    job_id = uuid4()
    answer = client.put(BODY | change, job_id)
    assert answer.status_code == 422
    assert answer.get_json()["error"]["code"] == code
    missing = client.http.get(f"/v1/jobs/{job_id}", headers=client.headers)
    assert missing.status_code == 404
    assert missing.get_json()["error"]["code"] == "job_not_found"


def test_a_body_that_is_no_json_is_refused(client: Client) -> None:
    answer = client.http.put(f"/v1/jobs/{uuid4()}", data=b"{", headers=client.headers)
    assert answer.status_code == 422
    assert answer.get_json()["error"]["code"] == "invalid_request"


def test_deleting_cancels_once_and_is_then_only_told_again(client: Client) -> None:
    job_id = uuid4()
    client.put(BODY, job_id)
    first, second = client.delete(job_id), client.delete(job_id)
    assert (first.status_code, second.status_code) == (202, 200)
    assert second.get_json()["status"] == "cancelled"
    assert client.delete(uuid4()).status_code == 404


def test_without_its_database_the_service_is_not_ready(services: TranscoderServices) -> None:
    engine = make_engine("postgresql://nobody@127.0.0.1:1/none")
    http = create_app(replace(services, engine=engine)).test_client()
    answer = http.get("/readyz")
    assert answer.status_code == 503
    error = answer.get_json()["error"]
    assert (error["code"], error["retryable"]) == ("unavailable", True)
    assert http.get("/healthz").status_code == 200


def test_a_job_is_refused_for_the_moment_while_the_database_takes_no_writes(
    client: Client, databases: Databases, postgres_url: str
) -> None:
    with taking_no_writes(databases, str(make_url(postgres_url).database)):
        job_id = uuid4()
        refused = client.put(BODY, job_id)
        assert (refused.status_code, refused.get_json()["error"]["retryable"]) == (503, True)
        assert client.http.get("/readyz").status_code == 503

    eventually("it is ready", lambda: client.http.get("/readyz").status_code == 200)
    assert client.put(BODY, job_id).status_code == 201


class BrokenBody:
    """Body as gunicorn gives it to the application, of a client that breaks off."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def read(self, _size: int = -1) -> bytes:
        raise self._error

    readline = read


@pytest.mark.parametrize(
    "error",
    [NoMoreData(), InvalidChunkSize(b"zz"), ChunkMissingTerminator(b"xx"), BlockingIOError()],
    ids=["ended", "no size", "no end of a chunk", "silence"],
)
def test_a_body_that_breaks_off_is_the_clients_error(client: Client, error: Exception) -> None:
    answer = client.http.put(
        f"/v1/jobs/{uuid4()}",
        environ_overrides={"wsgi.input": BrokenBody(error), "wsgi.input_terminated": True},
        headers=client.headers | {"Transfer-Encoding": "chunked"},
    )
    assert answer.json is not None
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "bad_request")
