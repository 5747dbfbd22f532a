"""POST /api/video-assets/webhook/{provider}."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import redis
import requests
from sqlalchemy import make_url

from pipeline.config.task_names import QUEUE_RECONCILE
from pipeline.records.models import AuditEvent, Delivery
from tests.integration.api.conftest import Client, World
from tests.scripted_provider import callback

PATH = "/api/video-assets/webhook/selfhosted"


def job(**changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {
        "id": str(uuid4()),
        "status": "running",
        "step": "encoding",
        "progress": 10,
        "created_at": now,
        "started_at": now,
        "finished_at": None,
        "result": None,
        "error": None,
        **changes,
    }


def send(api: Client, headers: Mapping[str, str], body: bytes, path: str = PATH) -> Any:
    return api.call("POST", path, as_=None, headers=headers, data=body)


def test_a_signed_callback_is_stored_raw_before_it_is_acknowledged(
    api: Client, world: World, broker_url: str
) -> None:
    headers, body = callback(job(), "job.progress")
    answer = send(api, {**headers, "Authorization": "Bearer secret", "Cookie": "a=b"}, body)
    assert (answer.status_code, answer.json()) == (202, {"result": "stored"})
    stored = world.only(Delivery)
    assert (stored.provider, stored.event_id) == ("selfhosted", headers["webhook-id"])
    assert (stored.body, stored.status) == (body, "new")
    kept = {name.lower() for name in stored.headers}
    assert "webhook-id" in kept
    assert not kept & {"webhook-signature", "authorization", "cookie"}
    with redis.Redis.from_url(broker_url) as broker:
        (message,) = broker.lrange(f"khronika:{QUEUE_RECONCILE}", 0, -1)
    assert str(stored.id).encode() in message


def test_the_bare_address_is_the_default_providers(api: Client, world: World) -> None:
    headers, body = callback(job(), "job.progress")
    assert send(api, headers, body, "/api/video-assets/webhook").status_code == 202
    assert world.only(Delivery).provider == "selfhosted"


def test_the_same_callback_again_is_known_and_stored_once(api: Client, world: World) -> None:
    headers, body = callback(job(), "job.progress")
    send(api, headers, body)
    answer = send(api, headers, body)
    assert (answer.status_code, answer.json()) == (200, {"result": "duplicate"})
    assert world.count(Delivery) == 1


def test_the_same_id_with_another_body_is_a_conflict_and_applies_nothing(
    api: Client, world: World
) -> None:
    headers, body = callback(job(), "job.progress", event_id="msg_1")
    send(api, headers, body)
    other_headers, other = callback(job(), "job.completed", event_id="msg_1")
    answer = send(api, other_headers, other)
    assert (answer.status_code, answer.json()) == (200, {"result": "callback_conflict"})
    assert world.only(Delivery).body == body
    assert world.only(AuditEvent).type == "callback_conflict"


def test_a_signed_but_unreadable_callback_is_kept_as_dead(api: Client, world: World) -> None:
    headers, body = callback({"colour": "red"})
    answer = send(api, headers, body)
    assert (answer.status_code, answer.json()) == (202, {"result": "dead"})
    assert world.only(Delivery).status == "dead"


def _signed(**options: Any) -> tuple[dict[str, str], bytes]:
    return callback(job(), "job.progress", **options)


def _without(name: str) -> tuple[dict[str, str], bytes]:
    headers, body = _signed()
    return {k: v for k, v in headers.items() if k != name}, body


def _changed(**changes: str) -> tuple[dict[str, str], bytes]:
    headers, body = _signed()
    return {**headers, **{k.replace("_", "-"): v for k, v in changes.items()}}, body


LATE = timedelta(minutes=6)
FORGED = {
    "another secret": lambda: _signed(secret="whsec_" + "Zm9yZ2VkIHNlY3JldCBmb3JnZWQ="),
    "no signature": lambda: _without("webhook-signature"),
    "no id": lambda: _without("webhook-id"),
    "no timestamp": lambda: _without("webhook-timestamp"),
    "another id": lambda: _changed(webhook_id="msg_other"),
    "another timestamp": lambda: _changed(
        webhook_timestamp=str(int(datetime.now(UTC).timestamp()) + 2)
    ),
    "no number as timestamp": lambda: _changed(webhook_timestamp="now"),
    "another body": lambda: (_signed()[0], b'{"type": "job.completed"}'),
    "stale": lambda: _signed(signed_at=datetime.now(UTC) - LATE),
    "from the future": lambda: _signed(signed_at=datetime.now(UTC) + LATE),
    "no base64 as signature": lambda: _changed(webhook_signature="v1,???"),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_every_forgery_gets_the_same_401_and_an_audit_event_without_the_body(
    api: Client, world: World, forge: Any
) -> None:
    headers, body = forge()
    answer = send(api, headers, body)
    assert answer.status_code == 401
    problem = answer.json()
    told = {name: problem[name] for name in ("code", "detail", "errors")}
    assert told == {
        "code": "signature_invalid",
        "detail": "The signature of the callback is not valid.",
        "errors": [],
    }
    assert world.count(Delivery) == 0
    audit = world.only(AuditEvent)
    assert (audit.type, audit.provider) == ("callback_rejected", "selfhosted")
    assert audit.reason
    assert audit.request_id == answer.headers["X-Request-Id"]
    assert body.decode() not in str(audit.detail)


def test_an_unknown_provider_is_not_found(api: Client, world: World) -> None:
    headers, body = _signed()
    answer = send(api, headers, body, "/api/video-assets/webhook/mux")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_provider")
    assert world.count(Delivery) == 0


def test_a_body_over_the_cap_is_refused_whether_or_not_its_length_is_announced(
    api: Client, world: World
) -> None:
    headers, _ = _signed()
    big = b"x" * 5000
    assert send(api, headers, big).status_code == 413
    chunked = requests.post(api.url + PATH, data=iter([big]), headers=headers, timeout=60)
    assert chunked.status_code == 413
    assert world.count(Delivery) == 0
    assert world.count(AuditEvent) == 0


def test_when_the_database_is_away_the_sender_is_told_to_try_again(
    api: Client, world: World, postgres_url: str, databases: Any
) -> None:
    headers, body = _signed()
    world.engine.dispose()
    databases.drop(make_url(postgres_url).database)
    answer = send(api, headers, body)
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
