"""Tokens of several issuers, one of which publishes its keys."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import jwt
import pytest
import requests

from tests.integration.api.conftest import Client, serving
from tests.key_publisher import AUDIENCE, Publisher, claims, public_jwk, publishing, signed

SITE = "https://project.supabase.example/auth/v1"
SUPABASE_SECRET = "a-legacy-secret-of-forty-characters-----"


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with publishing(public_jwk("ES256", "one")) as publisher:
        yield publisher


@pytest.fixture
def api(
    environment: Mapping[str, str], publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    """As a project on Supabase would be configured, without a secret of our own."""
    site = {
        "issuer": SITE,
        "audience": AUDIENCE,
        "algorithm": "ES256",
        "jwks_url": publisher.url,
    }
    service = {
        "issuer": "supabase",
        "algorithm": "HS256",
        "secret": SUPABASE_SECRET,
        "operators": True,
    }
    monkeypatch.delenv("KHRONIKA_JWT_SECRET")
    monkeypatch.setenv("KHRONIKA_JWT_ISSUERS", json.dumps([site, service]))
    monkeypatch.setenv("KHRONIKA_JWKS_LOOPBACK", "true")
    monkeypatch.setenv("KHRONIKA_JWKS_COOLDOWN_SEC", "0.001")
    monkeypatch.setenv("KHRONIKA_JWKS_LIFE_SEC", "0.001")
    with serving(monkeypatch) as client:
        yield client


def bearing(token: str) -> dict[str, Any]:
    return {"as_": None, "headers": {"Authorization": f"Bearer {token}"}}


def told(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_people_come_by_published_keys_and_the_service_by_its_own_key(api: Client) -> None:
    person = bearing(signed(claims(SITE), "ES256"))
    made = api.create(**person)
    assert (made.status_code, made.json()["owner_id"]) == (202, "ana")
    said = {"iss": "supabase", "ref": "project", "role": "service_role", "exp": 2**33}
    service = bearing(jwt.encode(said, SUPABASE_SECRET, algorithm="HS256"))
    assert api.get(f"/api/video-assets/{made.json()['post_id']}", **service).status_code == 200


def test_a_person_who_claims_to_be_an_operator_is_refused_and_told_so(api: Client) -> None:
    for role in ("service_role", "operator_read"):
        boaster = bearing(signed(claims(SITE, role=role), "ES256"))
        assert told(api.get("/api/video-assets?status=queued", **boaster)) == (
            403,
            "role_not_trusted",
        )
        assert told(api.create(**boaster)) == (403, "role_not_trusted")


def test_while_the_issuer_is_away_known_keys_verify_and_unknown_ones_are_asked_to_wait(
    api: Client, publisher: Publisher
) -> None:
    person = bearing(signed(claims(SITE), "ES256"))
    assert api.create(**person).status_code == 202
    publisher.status = 503
    assert api.create(**person).status_code == 202
    rotated = api.create(**bearing(signed(claims(SITE), "ES256", kid="two", name="second")))
    assert told(rotated) == (503, "issuer_unavailable")
    assert rotated.json()["retryable"] is True
    assert rotated.headers["Retry-After"]
    publisher.publish(public_jwk("ES256", "two", "second"))
    publisher.status = 200
    again = api.create(**bearing(signed(claims(SITE), "ES256", kid="two", name="second")))
    assert again.status_code == 202
