"""Keys of servers: what they open, and from when on no more."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests
from sqlalchemy import Engine, event, update

from pipeline.access.api_keys import MadeKey, NewKey, make_key, revoke_key
from pipeline.domain.errors import Unprocessable
from pipeline.records.clock import from_now
from pipeline.records.models import ApiKey, AuditEvent
from pipeline.runtime.database import make_engine, session_of
from tests.integration.api.conftest import OWNER, STRANGER, Client, World

LEAKED = re.compile(r"khv_[0-9a-f]{32}_[A-Za-z0-9_-]{43}")
"""What a scanner for leaked secrets is told to look for."""


@pytest.fixture
def operator(role_urls: Mapping[str, str]) -> Iterator[Engine]:
    engine = make_engine(role_urls["operator"], pool_size=1)
    yield engine
    engine.dispose()


def make(
    operator: Engine,
    *scopes: str,
    owner_id: str | None = OWNER,
    life: timedelta | None = None,
) -> MadeKey:
    with session_of(operator) as session:
        wanted = NewKey("site", owner_id, scopes, life)
        return make_key(session, wanted, actor="operator:ops", source="desk")


def revoke(operator: Engine, key_id: UUID) -> None:
    with session_of(operator) as session:
        revoke_key(session, key_id, actor="operator:ops", source="desk")


def bearing(key: str) -> dict[str, Any]:
    return {"as_": None, "headers": {"Authorization": f"Bearer {key}"}}


def told(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_an_owners_key_acts_as_that_owner_and_sees_nobody_elses(
    api: Client, world: World, operator: Engine
) -> None:
    key = make(operator, "assets:write", "assets:read").key
    made = api.create(**bearing(key))
    assert (made.status_code, made.json()["owner_id"]) == (202, OWNER)
    assert world.events(made.json()["id"])[0].actor == f"owner:{OWNER}"
    theirs = api.create(as_=STRANGER).json()["post_id"]
    assert told(api.get(f"/api/video-assets/{theirs}", **bearing(key))) == (404, "post_not_found")


@pytest.mark.parametrize(
    ("scopes", "owner_id", "allowed"),
    [
        (["assets:read"], OWNER, {"read", "playback"}),
        (["assets:write"], OWNER, {"create", "cancel"}),
        (["playback"], OWNER, {"playback"}),
        (["operator:read"], None, {"read", "playback", "list"}),
        (["operator"], None, {"read", "playback", "list", "create", "cancel"}),
    ],
)
def test_a_key_opens_what_its_scopes_say_and_nothing_else(
    *,
    api: Client,
    operator: Engine,
    scopes: Sequence[str],
    owner_id: str | None,
    allowed: set[str],
) -> None:
    with_key = bearing(make(operator, *scopes, owner_id=owner_id).key)
    post = api.create().json()["post_id"]
    named: dict[str, Any] = {} if owner_id else {"owner_id": OWNER}
    answers = {
        "read": api.get(f"/api/video-assets/{post}", **with_key),
        "playback": api.get(f"/api/video-assets/{post}/playback", **with_key),
        "list": api.get("/api/video-assets?status=queued", **with_key),
        "create": api.create(**named, **with_key),
        "cancel": api.post(f"/api/video-assets/{post}/cancel", **with_key),
    }
    assert {what for what, answer in answers.items() if answer.ok} == allowed
    refused = {told(answer) for answer in answers.values() if not answer.ok}
    assert refused <= {(403, "scope_missing"), (403, "role_not_allowed")}


def test_every_key_that_is_not_valid_is_refused_with_the_same_words(
    api: Client, operator: Engine
) -> None:
    good = make(operator, "assets:read")
    expired = make(operator, "assets:read", life=timedelta(seconds=-1))
    revoked = make(operator, "assets:read")
    revoke(operator, revoked.row.id)
    wrong = [
        revoked.key,
        expired.key,
        good.key[:-1] + ("A" if good.key[-1] != "A" else "B"),
        good.key.replace(good.row.id.hex, uuid4().hex),
        f"khv_{uuid4().hex}_{'x' * 43}",
        good.key + "x",
        good.key.upper(),
        "khv_",
        f"khv_{good.row.secret_sha256}",
    ]
    post = api.create().json()["post_id"]
    answers = [api.get(f"/api/video-assets/{post}", **bearing(key)) for key in wrong]
    said = [{**answer.json(), "request_id": ""} for answer in answers]
    assert {answer.status_code for answer in answers} == {401}
    assert said == [said[0]] * len(said)
    assert api.get(f"/api/video-assets/{post}", **bearing(good.key)).status_code == 200


def test_a_key_works_until_the_very_request_after_its_revocation(
    api: Client, operator: Engine
) -> None:
    made = make(operator, "assets:write")
    assert api.create(**bearing(made.key)).status_code == 202
    revoke(operator, made.row.id)
    assert told(api.create(**bearing(made.key))) == (401, "token_invalid")


def test_of_a_key_only_a_digest_is_kept_and_a_scanner_can_find_it(
    world: World, operator: Engine
) -> None:
    made = make(operator, "assets:read")
    assert LEAKED.fullmatch(made.key)
    assert made.row.id.hex in made.key
    kept = str(vars(made.row)) + str(vars(audits(operator)[0]))
    assert made.key.rpartition("_")[2] not in kept
    assert make(operator, "assets:read").key != made.key


def audits(operator: Engine) -> list[AuditEvent]:
    with session_of(operator) as session:
        return list(session.query(AuditEvent).order_by(AuditEvent.id))


def test_a_use_is_noted_at_most_once_a_minute(api: Client, operator: Engine) -> None:
    made = make(operator, "assets:read")
    statements: list[str] = []

    @event.listens_for(api.services.engines.api, "before_cursor_execute")
    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    def used() -> tuple[int, Any]:
        statements.clear()
        api.get(f"/api/video-assets/{uuid4()}", **bearing(made.key))
        with session_of(operator) as session:
            row = session.get_one(ApiKey, made.row.id)
        return sum("api_keys" in statement for statement in statements), row.last_used_at

    first, second = used(), used()
    assert (first[0], second[0]) == (2, 1)
    assert first[1] is not None
    assert second[1] == first[1]
    with session_of(operator) as session:
        session.execute(update(ApiKey).values(last_used_at=from_now(-61)))
    third = used()
    assert third[0] == 2
    assert third[1] > first[1]


def test_a_use_is_not_held_up_by_whoever_holds_the_key(api: Client, operator: Engine) -> None:
    made = make(operator, "assets:write")
    with session_of(operator) as session:
        session.execute(update(ApiKey).values(revoked_at=None))
        assert api.create(**bearing(made.key)).status_code == 202


@pytest.mark.parametrize(
    ("scopes", "owner_id", "code"),
    [
        ([], OWNER, "scopes_unsuitable"),
        ([], None, "scopes_unsuitable"),
        (["operator"], OWNER, "scopes_unsuitable"),
        (["assets:read", "operator:read"], OWNER, "scopes_unsuitable"),
        (["assets:read"], None, "scopes_unsuitable"),
        (["assets:*"], OWNER, "scope_unknown"),
    ],
)
def test_a_key_is_an_owners_or_an_operators_and_never_both(
    operator: Engine, scopes: Sequence[str], owner_id: str | None, code: str
) -> None:
    with pytest.raises(Unprocessable) as refused:
        make(operator, *scopes, owner_id=owner_id)
    assert refused.value.code == code
    assert audits(operator) == []
