"""What operators do is written down, in the transaction of what they do."""

from typing import Any
from uuid import uuid4

import pytest
import requests
from sqlalchemy import Engine, event, select

from pipeline.domain.states import Status
from pipeline.records.models import AuditEvent
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import OWNER, Client, World, token


def as_operator(**headers: str) -> dict[str, Any]:
    bearer = f"Bearer {token('ops', role='service_role')}"
    return {"as_": None, "headers": {"Authorization": bearer, **headers}}


def audits(world: World) -> list[AuditEvent]:
    with session_of(world.engine) as session:
        return list(session.scalars(select(AuditEvent).order_by(AuditEvent.id)))


def act(api: Client, world: World, action: str, **options: Any) -> requests.Response:
    """Do it to a video of the owner's that is in the state for it."""
    asset = api.create().json()
    post_id = asset["post_id"]
    if action == "retry":
        world.fail(asset["id"])
        return api.post("/api/video-assets/retry", {"post_id": post_id}, **options)
    if action == "delete":
        return api.call("DELETE", f"/api/video-assets/{post_id}", **options)
    if action == "reencode":
        world.complete(asset["id"])
    return api.post(f"/api/video-assets/{post_id}/{action}", **options)


ACTIONS = ("retry", "cancel", "reencode", "delete")


@pytest.mark.parametrize("action", ACTIONS)
def test_an_operators_change_is_written_down_with_who_where_and_what(
    api: Client, world: World, action: str
) -> None:
    answer = act(api, world, action, **as_operator())
    assert answer.status_code == 202
    [audit] = audits(world)
    assert (audit.type, audit.actor, audit.source) == (action, "operator:ops", "127.0.0.1")
    assert audit.request_id == answer.headers["X-Request-Id"]
    changed = answer.json()
    assert audit.detail == {"post_id": changed["post_id"], "asset_id": changed["id"]}


@pytest.mark.parametrize("action", ACTIONS)
def test_an_owners_change_is_in_the_chronicle_alone(api: Client, world: World, action: str) -> None:
    assert act(api, world, action).status_code == 202
    assert audits(world) == []


def test_what_is_made_for_an_owner_is_written_down_once(api: Client, world: World) -> None:
    post_id = uuid4()
    body: dict[str, Any] = {"owner_id": OWNER, **as_operator(**{"Idempotency-Key": "k"})}
    made = api.create(post_id, **body)
    assert (made.status_code, made.json()["owner_id"]) == (202, OWNER)
    assert world.events(made.json()["id"])[0].actor == "operator:ops"
    assert api.create(post_id, **body).headers["Idempotency-Replayed"] == "true"
    assert api.create(post_id, owner_id=OWNER, **as_operator()).status_code == 200
    wanted = {"filename": "a.mp4", "size_bytes": 9, "mime_type": "video/mp4", "owner_id": OWNER}
    ticket = api.post("/api/uploads", {"post_id": str(post_id), **wanted}, **as_operator())
    assert [(audit.type, audit.detail) for audit in audits(world)] == [
        ("create", {"post_id": str(post_id), "asset_id": made.json()["id"]}),
        ("upload", {"post_id": str(post_id), "upload_id": ticket.json()["upload_id"]}),
    ]


def test_what_was_refused_or_only_read_leaves_nothing(api: Client, world: World) -> None:
    asset = api.create().json()
    again = api.post("/api/video-assets/retry", {"post_id": asset["post_id"]}, **as_operator())
    assert again.status_code == 409
    assert api.get(f"/api/video-assets/{asset['post_id']}", **as_operator()).status_code == 200
    assert audits(world) == []


def test_where_it_cannot_be_written_down_nothing_is_done(api: Client, world: World) -> None:
    asset = api.create().json()
    refuse_audits(api.services.engines.operator)
    answer = api.post(f"/api/video-assets/{asset['post_id']}/cancel", **as_operator())
    assert answer.status_code == 500
    assert world.asset(asset["id"]).status is Status.QUEUED
    assert [line.type for line in world.events(asset["id"])] == ["created"]


def refuse_audits(engine: Engine) -> None:
    """Break the one statement, as a full table or a lost grant would."""

    @event.listens_for(engine, "before_cursor_execute")
    def refuse(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        assert "audit_events" not in statement
