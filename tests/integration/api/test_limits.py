"""Rate limits: kept, told, and never in the way while their store is away."""

import json
import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
import requests
from sqlalchemy import select

from api.access.limit_store import KEY_PREFIX
from api.wiring.publish_breaker import FAILURES_TO_OPEN
from pipeline.records.audit_floods import REFUSALS_PER_MINUTE
from pipeline.records.models import AuditEvent, Delivery
from pipeline.runtime.database import session_of
from stack.broker import BrokerServer, running_broker
from stack.home import Home
from stack.process_environment import LIMITS
from tests.conditions import wait_until
from tests.integration.api.conftest import SOURCE, STRANGER, Client, World, serving
from tests.integration.api.operator import Operator
from tests.integration.api.test_callbacks import job, send
from tests.integration.api.test_publishing import broken
from tests.scripted_provider import callback

QUOTA = 3
STANDING = re.compile(r'"(?P<policy>\w+)";r=(?P<remaining>\d+);t=(?P<reset_sec>\d+)')

Serve = Callable[..., AbstractContextManager[Client]]


@pytest.fixture
def serve(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Runs an application with low limits, and with the settings given besides."""
    del environment

    @contextmanager
    def running(**settings: str) -> Iterator[Client]:
        for name in LIMITS:
            monkeypatch.setenv(name, f"{QUOTA}/minute")
        for name, value in settings.items():
            monkeypatch.setenv(f"KHRONIKA_{name}", value)
        with serving(monkeypatch) as api:
            yield api

    return running


def standing(answer: requests.Response) -> tuple[str, int]:
    """Which limit the answer tells of, and what remains of it."""
    told = STANDING.fullmatch(answer.headers["RateLimit"])
    assert told, answer.headers["RateLimit"]
    assert 1 <= int(told["reset_sec"]) <= 60
    return told["policy"], int(told["remaining"])


def assert_refused(answer: requests.Response, policy: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert answer.json()["retryable"] is True
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert standing(answer) == (policy, 0)


@pytest.mark.parametrize("store", [{}, {"LIMITS_URL": "memory://"}], ids=["broker", "memory"])
def test_an_owner_is_told_what_remains_and_refused_once_nothing_does(
    serve: Serve, world: World, store: dict[str, str]
) -> None:
    with serve(**store) as api:
        answers = [api.create() for _ in range(QUOTA)]
        assert [standing(a) for a in answers] == [("create", 2), ("create", 1), ("create", 0)]
        assert {a.headers["RateLimit-Policy"] for a in answers} == {'"create";q=3;w=60'}
        assert_refused(api.create(), "create")
        assert world.count() == QUOTA
        assert api.create(as_=STRANGER).status_code == 202
        assert "RateLimit" not in api.get("/healthz").headers


def requests_of(verb: str) -> tuple[str, str, Any]:
    post_id = str(uuid4())
    if verb == "uploads":
        body = {"filename": "a.mp4", "size_bytes": 1, "mime_type": "video/mp4"}
        return "POST", "/api/uploads", {"post_id": post_id, **body}
    if verb == "reencode":
        return "POST", f"/api/video-assets/{post_id}/reencode", None
    return "POST", "/api/video-assets/retry", {"post_id": post_id}


@pytest.mark.parametrize(
    ("verbs", "policy"), [(["uploads"] * 4, "uploads"), (["retry", "reencode"] * 2, "retry")]
)
def test_what_costs_an_encode_or_a_ticket_is_limited_too(
    serve: Serve, verbs: list[str], policy: str
) -> None:
    with serve() as api:
        for verb in verbs[:QUOTA]:
            method, path, body = requests_of(verb)
            assert standing(api.call(method, path, json=body))[0] == policy
        method, path, body = requests_of(verbs[QUOTA])
        assert_refused(api.call(method, path, json=body), policy)


def test_an_address_has_a_limit_of_its_own_however_many_owners_share_it(serve: Serve) -> None:
    with serve(LIMIT_ADDRESS_FACTOR="2") as api:
        answers = [api.create(as_=f"owner-{n}") for n in range(2 * QUOTA)]
        assert {a.status_code for a in answers} == {202}
        assert standing(answers[-1]) == ("create_address", 0)
        assert_refused(api.create(as_="another"), "create_address")


def test_an_operator_is_not_limited(serve: Serve) -> None:
    with serve(LIMIT_ADDRESS_FACTOR="1") as api:
        for _ in range(QUOTA + 1):
            answer = api.operator("POST", f"/api/video-assets/{uuid4()}/reencode")
            assert answer.status_code == 404
            assert "RateLimit" not in answer.headers
        assert api.create().status_code == 202


def bad_callback(api: Client, **headers: str) -> Any:
    signed, body = callback(job(), "job.progress")
    return send(api, signed | headers, body + b" ")


def test_bad_signatures_are_limited_and_a_good_one_is_taken_all_the_same(
    serve: Serve, world: World
) -> None:
    with serve() as api:
        refused = [bad_callback(api) for _ in range(QUOTA)]
        assert [a.status_code for a in refused] == [401] * QUOTA
        assert_refused(bad_callback(api), "bad_signatures")
        assert world.count(AuditEvent) == QUOTA
        for _ in range(QUOTA + 1):
            headers, body = callback(job(), "job.progress")
            answer = send(api, headers, body)
            assert answer.status_code == 202
            assert "RateLimit" not in answer.headers
        assert world.count(Delivery) == QUOTA + 1


VOUCHED = [
    (0, "198.51.100.1", "127.0.0.1"),
    (1, "198.51.100.1", "198.51.100.1"),
    (1, "6.6.6.6, 198.51.100.1", "198.51.100.1"),
    (2, "6.6.6.6, 198.51.100.1, 10.0.0.1", "198.51.100.1"),
    (2, "198.51.100.1", "127.0.0.1"),
]
"""The number of proxies, what the last of them sends, and who it comes from."""


@pytest.mark.parametrize("vouched", VOUCHED)
def test_the_address_is_the_one_that_as_many_proxies_as_there_are_vouch_for(
    serve: Serve, world: World, capsys: pytest.CaptureFixture[str], vouched: tuple[int, str, str]
) -> None:
    proxies, forwarded, address = vouched
    with serve(PROXIES=str(proxies)) as api:
        bad_callback(api, **{"X-Forwarded-For": forwarded})
    assert world.only(AuditEvent).source == address
    (line,) = [line for line in capsys.readouterr().err.splitlines() if '"request"' in line]
    assert json.loads(line)["address"] == address


@pytest.mark.parametrize(
    ("proxies", "behind"), [(0, ""), (1, ", 198.51.100.1"), (2, ", 198.51.100.1, 10.0.0.1")]
)
def test_an_address_that_the_client_made_up_escapes_no_limit(
    serve: Serve, proxies: int, behind: str
) -> None:
    with serve(PROXIES=str(proxies)) as api:
        answers = [
            bad_callback(api, **{"X-Forwarded-For": f"6.6.6.{n}{behind}"}) for n in range(QUOTA + 1)
        ]
    assert [a.status_code for a in answers] == [401] * QUOTA + [429]


@pytest.mark.parametrize("kind", ["callbacks", "sign-ins"])
def test_a_network_fills_the_audit_no_faster_than_an_address(
    serve: Serve, world: World, kind: str
) -> None:
    many = [f"2001:db8:1:2::{n:x}" for n in range(1, REFUSALS_PER_MINUTE + 6)]
    other = "2001:db8:1:3::1"
    rates = {"LIMIT_BAD_SIGNATURES": "1000/minute", "LIMIT_SIGN_IN": "1000/minute"}
    with serve(PROXIES="1", **rates) as api:
        operator = Operator(api)
        form = operator.get("/ops/sign-in").form("/ops/sign-in")
        for address in (*many, other):
            operator.http.headers["X-Forwarded-For"] = address
            if kind == "callbacks":
                bad_callback(api, **{"X-Forwarded-For": address})
            else:
                assert operator.submit(form, ("token", "wrong")).status == 401
    with session_of(world.superuser) as session:
        sources = list(session.scalars(select(AuditEvent.source).order_by(AuditEvent.id)))
    assert sources == [*many[:REFUSALS_PER_MINUTE], other]


@pytest.mark.parametrize("how", ["down", "silent", "full"])
def test_nobody_is_limited_or_held_while_the_store_is_away(
    serve: Serve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr("api.wiring.publish_breaker.OPEN_SEC", 3600.0)
    with broken(how) as url, serve(LIMITS_URL=url) as api:
        api.get("/healthz")
        for _ in range(FAILURES_TO_OPEN + QUOTA - 1):
            answer = api.create()
            assert answer.status_code == 202
            assert "RateLimit" not in answer.headers
    asked = capsys.readouterr().err.count("limits_unavailable")
    assert asked == FAILURES_TO_OPEN, "a store that keeps failing is left alone"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BrokerServer]:
    """A store of its own, to be stopped."""
    home = Home(tmp_path / "store")
    home.root.mkdir()
    home.logs.mkdir()
    with running_broker(home, password="p" * 16, throwaway=True) as server:
        yield server


def test_limits_are_kept_again_once_a_store_that_hung_answers(
    serve: Serve, store: BrokerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.wiring.publish_breaker.OPEN_SEC", 0.2)
    with closing(redis.Redis.from_url(store.url())) as client:
        pid = client.info("server")["process_id"]
        with serve(LIMITS_URL=store.url()) as api:
            for _ in range(QUOTA):
                assert api.create().status_code == 202
            os.kill(pid, signal.SIGSTOP)
            try:
                for _ in range(FAILURES_TO_OPEN + 1):
                    assert api.create().status_code == 202
            finally:
                os.kill(pid, signal.SIGCONT)
            wait_until(lambda: api.create().status_code == 429)
            client.flushall()
            assert standing(api.create()) == ("create", QUOTA - 1)


def test_requests_are_counted_with_the_broker_unless_it_is_said_where(
    serve: Serve, broker_url: str, world: World
) -> None:
    with serve() as api:
        assert api.create(source_url=SOURCE).status_code == 202
    with closing(redis.Redis.from_url(broker_url)) as client:
        keys = [key.decode() for key in client.scan_iter(f"{KEY_PREFIX}*")]
        assert len(keys) == 2, "the owner's and the address's"
        assert all(0 < client.ttl(key) <= 60 for key in keys)
    with session_of(world.engine) as session:
        assert session.scalars(select(AuditEvent)).all() == []


def test_the_description_names_the_limits_of_what_is_limited(serve: Serve) -> None:
    with serve() as api:
        paths = api.get("/openapi.json", as_=None).json()["paths"]
    limited = {
        operation["operationId"]: operation["responses"]
        for operations in paths.values()
        for operation in operations.values()
        if "429" in operation["responses"]
    }
    assert {"post_assets_create", "post_assets_retry", "post_uploads_issue"} <= limited.keys()
    for answers in limited.values():
        assert answers["429"]["headers"].keys() == {"RateLimit", "RateLimit-Policy", "Retry-After"}
    assert {"RateLimit", "RateLimit-Policy"} <= limited["post_assets_create"]["202"][
        "headers"
    ].keys()
