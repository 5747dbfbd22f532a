"""POST /api/video-assets/create."""

from threading import Barrier, Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
from sqlalchemy import event, select

from pipeline.config.task_names import QUEUE_SUBMIT
from pipeline.domain.audit_types import AuditType
from pipeline.domain.states import Status
from pipeline.records.models import Asset, AuditEvent
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import OWNER, SOURCE, STRANGER, Client, World, serving, token

ASSET_MEMBERS = {
    *("id", "post_id", "owner_id", "status", "generation", "attempt", "max_attempts"),
    *("next_attempt_at", "hold_reason", "provider", "provider_job_id", "progress", "playable"),
    *("manifest_url", "fallback_url", "poster_url", "thumbnail_url", "duration_sec", "width"),
    *("height", "error_code", "error_message", "retryable", "created_at", "updated_at"),
    *("playable_at", "completed_at", "title", "playback", "allow_original", "step"),
    *("storyboard_url", "urls_expire_at", "hold_message", "queue_position", "queue_wait_sec"),
    "warnings",
}


def test_a_new_video_is_accepted_and_can_be_read_where_location_says(api: Client) -> None:
    post_id = uuid4()
    answer = api.create(post_id, title="Holiday 👨‍👩‍👧", duration_sec=12.5, width=640, height=360)
    assert answer.status_code == 202
    asset = answer.json()
    assert asset.keys() == ASSET_MEMBERS
    assert (asset["post_id"], asset["owner_id"]) == (str(post_id), OWNER)
    assert (asset["status"], asset["attempt"], asset["playable"]) == ("queued", 0, False)
    assert asset["created_at"].endswith(("Z", "+00:00"))
    assert answer.headers["Location"] == f"/api/video-assets/{post_id}"
    assert api.get(answer.headers["Location"]).json() == asset | {"queue_position": 1}


def test_its_first_event_is_in_the_same_transaction(api: Client, world: World) -> None:
    asset = api.create(size_bytes=1000).json()
    first = world.events(asset["id"])
    assert [(e.seq, e.type, e.actor) for e in first] == [(1, "created", f"owner:{OWNER}")]


def test_a_worker_is_woken_after_the_commit(api: Client, broker_url: str) -> None:
    asset = api.create().json()
    with redis.Redis.from_url(broker_url) as broker:
        messages = broker.lrange(f"khronika:{QUEUE_SUBMIT}", 0, -1)
    assert len(messages) == 1
    assert asset["id"].encode() in messages[0]


def test_the_same_source_again_is_the_asset_as_it_is(api: Client, world: World) -> None:
    post_id = uuid4()
    first = api.create(post_id, source_url=f"{SOURCE}?signature=1").json()
    world.fail(first["id"])
    again = api.create(post_id, source_url=f"{SOURCE}?signature=2#t=1")
    assert again.status_code == 200
    assert (again.json()["id"], again.json()["status"]) == (first["id"], "failed")
    assert world.count() == 1


def source_of(world: World, post_id: UUID) -> str | None:
    with session_of(world.superuser) as session:
        return session.scalars(select(Asset.source_url).where(Asset.post_id == post_id)).one()


def test_an_address_that_was_signed_anew_replaces_the_old(api: Client, world: World) -> None:
    post_id = uuid4()
    first = api.create(post_id, source_url=f"{SOURCE}?signature=1").json()
    for _ in range(2):
        assert api.create(post_id, source_url=f"{SOURCE}?signature=2").status_code == 200
    assert source_of(world, post_id) == f"{SOURCE}?signature=2"
    events = world.events(first["id"])
    assert [event.type for event in events] == ["created", "source_readdressed"]
    assert "signature" not in str(events[-1].detail)


def test_an_operators_fresh_address_is_audited_and_a_repetition_is_not(
    api: Client, world: World
) -> None:
    post_id = uuid4()
    headers = {"Authorization": f"Bearer {token('ops', role='service_role')}"}
    for signature in (1, 2, 2):
        url = f"{SOURCE}?signature={signature}"
        answer = api.create(post_id, as_=None, headers=headers, owner_id=OWNER, source_url=url)
        assert answer.ok, answer.text
    with session_of(world.superuser) as session:
        deeds = session.scalars(select(AuditEvent.type).where(AuditEvent.actor.like("operator:%")))
        assert list(deeds) == [AuditType.CREATE] * 2


def test_the_address_that_an_attempt_uses_is_not_replaced(api: Client, world: World) -> None:
    post_id = uuid4()
    first = api.create(post_id, source_url=f"{SOURCE}?signature=1").json()
    world.move(first["id"], Status.PROCESSING)
    again = api.create(post_id, source_url=f"{SOURCE}?signature=2")
    assert (again.status_code, again.json()["status"]) == (200, "processing")
    assert source_of(world, post_id) == f"{SOURCE}?signature=1"


def test_another_source_for_the_same_post_is_a_conflict_that_says_what_is_there(
    api: Client,
) -> None:
    post_id = uuid4()
    first = api.create(post_id).json()
    answer = api.create(post_id, source_url="https://videos.example/other.mp4")
    assert answer.status_code == 409
    assert answer.json()["code"] == "post_has_asset"
    assert answer.json()["current"] == {"asset_id": first["id"], "status": "queued"}


def test_a_post_that_somebody_else_holds_is_not_found(api: Client, world: World) -> None:
    post_id = uuid4()
    api.create(post_id, as_=STRANGER)
    answer = api.create(post_id)
    assert (answer.status_code, answer.json()["code"]) == (404, "post_not_found")
    assert world.count() == 1


BAD_BODIES: list[tuple[dict[str, Any], str]] = [
    ({"post_id": "42"}, "#/post_id"),
    ({"post_id": None}, "#/post_id"),
    ({"colour": "red"}, "#/colour"),
    ({"a/b~c": 1}, "#/a~1b~0c"),
    ({"owner_id": "boris"}, "#/owner_id"),
    ({"upload_id": str(uuid4())}, "#"),
    ({"source_url": None}, "#"),
    ({"source_url": ""}, "#/source_url"),
    ({"source_url": 7}, "#/source_url"),
    ({"source_url": "file:///etc/passwd"}, "#/source_url"),
    ({"source_url": "http://videos.example/a.mp4"}, "#/source_url"),
    ({"source_url": "https://user:secret@videos.example/a.mp4"}, "#/source_url"),
    ({"source_url": "https://127.0.0.1/a.mp4"}, "#/source_url"),
    ({"source_url": "https://[::ffff:10.0.0.1]/a.mp4"}, "#/source_url"),
    ({"source_url": "https://169.254.169.254/latest"}, "#/source_url"),
    ({"source_url": "videos.example/a.mp4"}, "#/source_url"),
    ({"source_url": "https://videos.example:99999/"}, "#/source_url"),
    ({"source_url": "https://videos.example/a b.mp4"}, "#/source_url"),
    ({"source_url": "https://videos.example/\u0000.mp4"}, "#/source_url"),
    ({"source_url": "storage:original/boris/x/y/source.mp4"}, "#/source_url"),
    ({"source_url": "storage:original/ana/../boris/x.mp4"}, "#/source_url"),
    ({"source_url": "storage:original/anabel/x.mp4"}, "#/source_url"),
    ({"source_url": "storage:processed/x/y/master.m3u8"}, "#/source_url"),
    ({"source_url": "storage:"}, "#/source_url"),
    ({"title": "x" * 501}, "#/title"),
    ({"title": "nul \u0000"}, "#/title"),
    ({"title": "half \ud800"}, "#/title"),
    ({"size_bytes": -1}, "#/size_bytes"),
    ({"size_bytes": "12"}, "#/size_bytes"),
    ({"size_bytes": True}, "#/size_bytes"),
    ({"size_bytes": 1.5}, "#/size_bytes"),
    ({"size_bytes": 2**63}, "#/size_bytes"),
    ({"duration_sec": -0.1}, "#/duration_sec"),
    ({"duration_sec": "1"}, "#/duration_sec"),
    ({"width": 0}, "#/width"),
    ({"height": 40_000}, "#/height"),
    ({"poster_time_sec": -1}, "#/poster_time_sec"),
    ({"playback": "secret"}, "#/playback"),
    ({"allow_original": "yes"}, "#/allow_original"),
]


@pytest.mark.parametrize(("wrong", "pointer"), BAD_BODIES)
def test_a_body_of_another_shape_is_refused_with_a_pointer_and_leaves_no_row(
    api: Client, world: World, wrong: dict[str, Any], pointer: str
) -> None:
    body = {"post_id": str(uuid4()), "source_url": SOURCE, **wrong}
    answer = api.post("/api/video-assets/create", body)
    assert answer.status_code == 422, answer.text
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert world.count() == 0


BAD_BYTES = [
    (b"", 400),
    (b"{", 400),
    (b"\xff\xfe", 400),
    (b'{"post_id": NaN}', 400),
    (b'{"post_id": 1, "post_id": 2}', 400),
    (b"[" * 60_000, 400),
    (b"1" * 60_000, 400),
    (b'{"title": "' + b"x" * 70_000 + b'"}', 413),
    (b"[]", 422),
    (b'"text"', 422),
    (b"null", 422),
]


@pytest.mark.parametrize(("sent", "status"), BAD_BYTES, ids=lambda value: str(value)[:24])
def test_bytes_that_are_no_json_document_are_refused(
    api: Client, world: World, sent: bytes, status: int
) -> None:
    answer = api.call(
        "POST",
        "/api/video-assets/create",
        data=sent,
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == status, answer.text
    assert world.count() == 0


def test_a_body_over_the_limit_is_refused_though_its_length_is_not_announced(api: Client) -> None:
    answer = api.call(
        "POST",
        "/api/video-assets/create",
        data=iter([b'{"title": "' + b"x" * 70_000 + b'"}']),
        headers={"Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_body_that_does_not_say_it_is_json_is_refused(api: Client) -> None:
    answer = api.call("POST", "/api/video-assets/create", data=b"{}", headers={})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("declared", "status", "code"),
    [
        ({"size_bytes": 10_000_001}, 413, "source_too_large"),
        ({"size_bytes": 0}, 422, "source_empty"),
        ({"duration_sec": 60.5}, 422, "source_too_long"),
        ({"mime_type": "text/html"}, 422, "unsupported_media"),
        ({"mime_type": "image/gif"}, 422, "unsupported_media"),
    ],
)
def test_what_is_declared_over_the_limits_is_refused_before_anything_is_queued(
    api: Client, world: World, declared: dict[str, Any], status: int, code: str
) -> None:
    answer = api.create(**declared)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert world.count() == 0


def test_the_limits_themselves_pass(api: Client) -> None:
    answer = api.create(size_bytes=10_000_000, duration_sec=60, mime_type="VIDEO/mp4")
    assert answer.status_code == 202


def test_a_key_of_the_callers_own_prefix_is_a_source(api: Client) -> None:
    key = f"storage:original/{OWNER}/{uuid4()}/{uuid4()}/source.mp4"
    assert api.create(source_url=key).status_code == 202


def test_an_upload_that_does_not_exist_is_not_found(api: Client, world: World) -> None:
    answer = api.create(upload_id=str(uuid4()))
    assert (answer.status_code, answer.json()["code"]) == (404, "upload_not_found")
    assert world.count() == 0


def test_a_repeated_key_gets_the_first_answer_again(api: Client, world: World) -> None:
    post_id, headers = uuid4(), {"Idempotency-Key": "k-1"}
    first = api.create(post_id, headers=headers)
    world.fail(first.json()["id"])
    again = api.create(post_id, headers=headers)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    assert "Idempotency-Replayed" not in first.headers


def test_a_key_with_another_body_is_refused(api: Client, world: World) -> None:
    api.create(headers={"Idempotency-Key": "k-1"})
    answer = api.create(headers={"Idempotency-Key": "k-1"})
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")
    assert world.count() == 1


def test_a_key_is_its_owners_alone(api: Client) -> None:
    headers = {"Idempotency-Key": "k-1"}
    first = api.create(headers=headers)
    other = api.create(as_=STRANGER, headers=headers)
    assert (first.status_code, other.status_code) == (202, 202)
    assert first.json()["id"] != other.json()["id"]


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_is_empty_or_too_long_is_refused(api: Client, key: str) -> None:
    answer = api.create(headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_invalid")


def test_many_at_once_make_one_asset(api: Client, world: World) -> None:
    post_id, at_once, statuses = uuid4(), Barrier(6), []

    def create() -> None:
        at_once.wait()
        statuses.append(api.create(post_id).status_code)

    threads = [Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 5 + [202]
    assert world.count() == 1


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k-1"}])
def test_create_costs_two_statements_at_most(api: Client, headers: dict[str, str]) -> None:
    statements: list[str] = []

    @event.listens_for(api.services.engines.api, "before_cursor_execute")
    def count(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    api.create()  # the first on a connection also asks the server what it is
    statements.clear()
    assert api.create(headers=headers).status_code == 202
    of_user = [s for s in statements if "khronika.user_id" in s]
    assert len(of_user) == 1
    assert len(statements) - len(of_user) <= 2, statements


def test_an_asset_says_why_it_failed_and_whether_to_try_again(api: Client, world: World) -> None:
    asset = api.create().json()
    world.fail(asset["id"], "source_corrupt")
    shown = api.get(f"/api/video-assets/{asset['post_id']}").json()
    assert (shown["status"], shown["error_code"]) == (Status.FAILED, "source_corrupt")
    assert shown["error_message"]
    assert shown["retryable"] is False


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [
        ("KHRONIKA_OWNER_MAX_LIVE", "1", "too_many_in_flight"),
        ("KHRONIKA_OWNER_DAILY_ASSETS", "1", "quota_exceeded"),
        ("KHRONIKA_OWNER_DAILY_BYTES", "1000", "quota_exceeded"),
        ("KHRONIKA_OWNER_DAILY_MEDIA_SEC", "10", "quota_exceeded"),
    ],
)
def test_an_owner_over_a_limit_is_told_which_and_when_to_come_again(
    environment: Any, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, code: str
) -> None:
    monkeypatch.setenv(variable, value)
    with serving(monkeypatch) as api:
        first = api.create(size_bytes=900, duration_sec=9)
        assert first.status_code == 202

        answer = api.create(size_bytes=900, duration_sec=9)

        assert (answer.status_code, answer.json()["code"]) == (429, code)
        assert answer.json()["retryable"] is True
        assert 0 < int(answer.headers["Retry-After"]) <= 86_400
        assert value in answer.json()["detail"]
        assert answer.json()["current"]["limit"] == float(value)
        again = api.create(first.json()["post_id"], size_bytes=900, duration_sec=9)
        assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
