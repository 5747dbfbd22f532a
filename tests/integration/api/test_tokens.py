"""Who may call: bearer tokens and roles."""

import time
from typing import Any
from uuid import uuid4

import jwt
import pytest

from tests.integration.api.conftest import (
    JWT_SECRET,
    LONGEST_RUN_SEC,
    OWNER,
    STRANGER,
    Client,
    World,
    token,
)

EXPIRED: dict[str, Any] = {"exp": int(time.time()) - 3600}

WRONG_TOKENS = {
    "another key": token(key="k" * 32),
    "another issuer": token(iss="somebody"),
    "another audience": token(aud="anon"),
    "no expiry": token(exp=None),
    "no issuer": token(iss=None),
    "no audience": token(aud=None),
    "no subject": token(None),
    "an empty subject": token(""),
    "a subject too long": token("x" * 129),
    "a subject with a NUL": token("a\u0000b"),
    "half a surrogate": token("\ud800"),
    "a subject that is no text": jwt.encode(
        {"sub": ["ana"], "iss": "khronika", "aud": "authenticated", "exp": 2**33},
        JWT_SECRET,
        algorithm="HS256",
    ),
    "another algorithm": jwt.encode(
        {"sub": OWNER, "iss": "khronika", "aud": "authenticated", "exp": 2**33},
        "j" * 64,
        algorithm="HS512",
    ),
    "no signature": jwt.encode(
        {"sub": OWNER, "iss": "khronika", "aud": "authenticated", "exp": 2**33},
        None,  # type: ignore[arg-type]  # PyJWT takes no key for no signature
        algorithm="none",
    ),
    "not a token": "abc.def",
    "not yet valid": token(nbf=int(time.time()) + LONGEST_RUN_SEC),
}


@pytest.mark.parametrize("sent", [None, "", "Bearer", "Bearer ", "Basic YTpi", "token abc"])
def test_a_missing_token_is_401_and_says_how_to_authenticate(
    api: Client, world: World, sent: str | None
) -> None:
    headers = {} if sent is None else {"Authorization": sent}
    answer = api.create(as_=None, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="khronika"'
    assert world.count() == 0


def test_an_expired_token_is_told_apart(api: Client, world: World) -> None:
    answer = api.create(as_=None, headers={"Authorization": f"Bearer {token(**EXPIRED)}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")
    assert "invalid_token" in answer.headers["WWW-Authenticate"]
    assert world.count() == 0


@pytest.mark.parametrize("sent", WRONG_TOKENS.values(), ids=WRONG_TOKENS.keys())
def test_a_token_that_is_wrong_in_any_way_is_invalid(api: Client, sent: str) -> None:
    answer = api.create(as_=None, headers={"Authorization": f"Bearer {sent}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


def test_clocks_may_differ_by_thirty_seconds_and_no_more(api: Client) -> None:
    now = int(time.time())
    for late, status in ((20, 202), (40, 401)):
        headers = {"Authorization": f"bearer {token(exp=now - late)}"}
        assert api.create(as_=None, headers=headers).status_code == status


def test_a_subject_may_be_as_long_as_an_owner_id(api: Client) -> None:
    assert api.create(as_="x" * 128).json()["owner_id"] == "x" * 128


def test_who_may_not_ask_is_not_told_what_is_wrong_with_the_question(api: Client) -> None:
    assert api.post("/api/video-assets/create", {"colour": 1}, as_=None).status_code == 401


@pytest.mark.parametrize("path", ["", "/events"])
def test_somebody_elses_asset_is_the_same_404_as_none(api: Client, path: str) -> None:
    theirs = api.create(as_=STRANGER).json()["post_id"]
    answers = [api.get(f"/api/video-assets/{post}{path}") for post in (theirs, uuid4())]
    first, second = ({**a.json(), "instance": "", "request_id": ""} for a in answers)
    assert first == second
    assert (first["status"], first["code"]) == (404, "post_not_found")


def test_somebody_elses_failure_cannot_be_retried(api: Client, world: World) -> None:
    theirs = api.create(as_=STRANGER).json()
    world.fail(theirs["id"])
    answer = api.post("/api/video-assets/retry", {"post_id": theirs["post_id"]})
    assert (answer.status_code, answer.json()["code"]) == (404, "post_not_found")
    assert world.asset(theirs["id"]).status == "failed"


@pytest.mark.parametrize("role", ["service_role", "operator_read"])
def test_operators_read_every_asset(api: Client, role: str) -> None:
    post_id = api.create().json()["post_id"]
    assert api.operator("GET", f"/api/video-assets/{post_id}", role).status_code == 200
    assert api.operator("GET", f"/api/video-assets/{post_id}/events", role).status_code == 200


def test_one_who_only_reads_retries_nothing(api: Client, world: World) -> None:
    asset = api.create().json()
    world.fail(asset["id"])
    headers = {"Authorization": f"Bearer {token('eve', role='operator_read')}"}
    answer = api.post(
        "/api/video-assets/retry", {"post_id": asset["post_id"]}, as_=None, headers=headers
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "role_not_allowed")
    assert world.asset(asset["id"]).status == "failed"


def test_an_operator_without_a_subject_is_named_by_its_role(api: Client, world: World) -> None:
    asset = api.create().json()
    world.fail(asset["id"])
    headers = {"Authorization": f"Bearer {token(None, role='service_role')}"}
    body = {"post_id": asset["post_id"]}
    assert api.post("/api/video-assets/retry", body, as_=None, headers=headers).status_code == 202
    assert world.events(asset["id"])[-1].actor == "operator:service_role"


def test_an_operator_owns_nothing_and_so_names_the_owner(api: Client, world: World) -> None:
    headers = {"Authorization": f"Bearer {token('ops', role='service_role')}"}
    answer = api.create(as_=None, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "owner_id_missing")
    assert world.count() == 0
