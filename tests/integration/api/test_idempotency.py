"""Idempotency-Key: one effect for one key, on every route that changes something."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Barrier, Thread
from uuid import UUID, uuid4

import pytest
import requests
from sqlalchemy import delete, func, select, text, update

from pipeline.records.models import Asset, Event, IdempotencyRecord, Upload
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import OWNER, SOURCE, Client, World, token

KEY = {"Idempotency-Key": "k-1"}
THREADS = 8

Ask = Callable[[UUID], requests.Response]
"""Makes the same request for a post, with the same key."""


def asking(api: Client, verb: str) -> Ask:
    """How a verb is asked for."""
    if verb == "create":
        return lambda post_id: api.create(post_id, headers=KEY)
    if verb == "uploads":
        return lambda post_id: api.post("/api/uploads", wanted(post_id), headers=KEY)
    if verb == "retry":
        body = "/api/video-assets/retry"
        return lambda post_id: api.post(body, {"post_id": str(post_id)}, headers=KEY)
    if verb == "delete":
        return lambda post_id: api.call("DELETE", f"/api/video-assets/{post_id}", headers=KEY)
    return lambda post_id: api.post(f"/api/video-assets/{post_id}/{verb}", headers=KEY)


def wanted(post_id: UUID) -> dict[str, object]:
    return {
        "post_id": str(post_id),
        "filename": "holiday.mp4",
        "size_bytes": 1000,
        "mime_type": "video/mp4",
    }


def ready_for(api: Client, world: World, verb: str) -> UUID:
    """A post in the state that the verb is for."""
    post_id = uuid4()
    if verb in {"create", "uploads"}:
        return post_id
    asset = api.create(post_id).json()
    if verb == "retry":
        world.fail(asset["id"])
    if verb == "reencode":
        world.complete(asset["id"])
    return post_id


def effects(world: World, verb: str) -> int:
    """How often the verb took effect."""
    if verb == "uploads":
        return world.count(Upload)
    types = {
        "create": "created",
        "retry": "retried",
        "cancel": "cancelled",
        "reencode": "reencode_requested",
        "delete": "deleted",
    }
    with session_of(world.engine) as session:
        count = select(func.count()).select_from(Event).where(Event.type == types[verb])
        return session.scalar(count) or 0


VERBS = ("create", "uploads", "retry", "cancel", "reencode", "delete")


@pytest.mark.parametrize("verb", VERBS)
def test_a_repeated_key_changes_nothing_more_and_gets_the_first_answer_again(
    api: Client, world: World, verb: str
) -> None:
    post_id, ask = ready_for(api, world, verb), asking(api, verb)
    first, again = ask(post_id), ask(post_id)
    assert first.status_code == (201 if verb == "uploads" else 202), first.text
    assert "Idempotency-Replayed" not in first.headers
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    assert effects(world, verb) == 1


@pytest.mark.parametrize("verb", VERBS)
def test_a_key_that_was_used_for_another_post_is_refused(
    api: Client, world: World, verb: str
) -> None:
    ask = asking(api, verb)
    assert ask(ready_for(api, world, verb)).ok
    answer = ask(ready_for(api, world, verb))
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")
    assert effects(world, verb) == (1 if verb != "create" else world.count())


@pytest.mark.parametrize("verb", ["create", "uploads", "retry"])
def test_many_at_once_with_one_key_have_one_effect(api: Client, world: World, verb: str) -> None:
    post_id, ask = ready_for(api, world, verb), asking(api, verb)
    at_once, answers = Barrier(THREADS), []

    def send() -> None:
        at_once.wait()
        answers.append(ask(post_id))

    threads = [Thread(target=send) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert effects(world, verb) == 1
    done = [a for a in answers if a.ok]
    assert sum("Idempotency-Replayed" not in a.headers for a in done) == 1
    assert all(a.json() == done[0].json() for a in done)
    codes = {a.json()["code"] for a in answers if not a.ok}
    assert codes <= {"idempotency_in_flight"}
    again = ask(post_id)
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (done[0].json(), "true")


@contextmanager
def in_flight(api: Client, subject: str, route: str) -> Iterator[None]:
    """The first request with the key, still running; it fails in the end."""
    with api.services.engines.operator.connect() as connection:
        connection.execute(
            text(
                "INSERT INTO idempotency_keys (owner_id, route, key, request_sha256, expires_at)"
                " VALUES (:owner, :route, 'k-1', '', now() + interval '1 day')"
            ),
            {"owner": subject, "route": route},
        )
        yield
        connection.rollback()


@pytest.mark.parametrize("role", ["authenticated", "service_role"])
def test_a_key_whose_first_request_still_runs_is_a_conflict_that_passes(
    api: Client, world: World, role: str
) -> None:
    post_id = ready_for(api, world, "cancel")
    subject, route = (OWNER, "cancel") if role == "authenticated" else ("ops", f"{role}:cancel")
    headers = KEY | {"Authorization": f"Bearer {token(subject, role=role)}"}
    path = f"/api/video-assets/{post_id}/cancel"
    with in_flight(api, subject, route):
        busy = api.post(path, headers=headers)
        assert (busy.status_code, busy.json()["code"]) == (409, "idempotency_in_flight")
        assert busy.json()["retryable"] is True
    assert api.post(path, headers=headers).status_code == 202


@pytest.mark.parametrize("verb", ["uploads", "retry"])
def test_a_key_that_has_expired_is_new(api: Client, world: World, verb: str) -> None:
    post_id, ask = ready_for(api, world, verb), asking(api, verb)
    first = ask(post_id).json()
    with session_of(api.services.engines.operator) as session:
        session.execute(update(IdempotencyRecord).values(expires_at=func.now()))
    if verb == "retry":
        world.fail(first["id"])
    again = ask(post_id)
    assert again.ok, again.text
    assert "Idempotency-Replayed" not in again.headers
    assert effects(world, verb) == 2
    assert ask(post_id).json() == again.json()


def test_a_request_that_failed_keeps_nothing(api: Client, world: World) -> None:
    asset = api.create().json()
    ask, post_id = asking(api, "retry"), UUID(asset["post_id"])
    assert ask(post_id).json()["code"] == "not_failed"
    assert world.count(IdempotencyRecord) == 0
    world.fail(asset["id"])
    answer = ask(post_id)
    assert answer.status_code == 202
    assert "Idempotency-Replayed" not in answer.headers


def test_a_create_that_is_repeated_after_the_video_was_deleted_does_not_bring_it_back(
    api: Client, world: World
) -> None:
    post_id = uuid4()
    first = api.create(post_id, headers=KEY)
    assert api.call("DELETE", f"/api/video-assets/{post_id}").status_code == 202
    again = api.create(post_id, headers=KEY)
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (first.json(), "true")
    assert api.get(again.headers["Location"]).status_code == 404
    assert world.asset(first.json()["id"]).deleted_at is not None
    assert world.count() == 1


def test_a_ticket_is_made_again_and_not_kept(api: Client, world: World) -> None:
    ask, post_id = asking(api, "uploads"), uuid4()
    issued = ask(post_id).json()
    kept = world.only(IdempotencyRecord)
    assert kept.response == {"upload_id": issued["upload_id"]}
    sent = requests.put(
        ask(post_id).json()["url"], data=b"x" * 1000, headers=issued["headers"], timeout=60
    )
    assert sent.status_code == 200
    with session_of(world.engine) as session:
        session.execute(delete(Upload))
    gone = ask(post_id)
    assert (gone.status_code, gone.json()["code"]) == (409, "upload_expired")


def test_an_operators_key_is_not_that_of_an_owner_of_the_same_name(
    api: Client, world: World
) -> None:
    post_id = uuid4()
    api.post(
        "/api/video-assets/create",
        {"post_id": str(post_id), "source_url": SOURCE},
        as_="ops",
    )
    path = f"/api/video-assets/{post_id}"
    assert api.post(f"{path}/cancel", as_="ops", headers=KEY).status_code == 202
    with session_of(world.engine) as session:
        asset_id = session.scalars(select(Asset.id)).one()
    answer = api.call(
        "POST",
        f"{path}/cancel",
        as_=None,
        headers=KEY | {"Authorization": f"Bearer {token('ops', role='service_role')}"},
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "not_active")
    assert world.asset(str(asset_id)).status == "failed"
