"""Every route, asked by everybody about what is owner A's."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import requests
from apiflask import APIBlueprint
from flask import jsonify
from sqlalchemy import Engine, event, select

from api.access.caller import Role, authorised, caller_session
from api.wiring.services import services
from pipeline.access.api_keys import NewKey, make_key
from pipeline.records.models import Asset, Event, IdempotencyRecord, Upload
from pipeline.runtime.database import make_engine, session_of
from tests.integration.api.conftest import OWNER, STRANGER, Client, token
from tests.integration.api.route_classes import ACTORS, FILE, KEYS, ROUTES, Probe

ANSWERS = {401: "1", 403: "3", 404: "4"}
TICKET = "X-Upload-Token"
CONSOLE = "/ops"
"""Its routes have one guard, which asks for a session of their own kind."""

Headers = Mapping[str, str]


class Belongings:
    """What owner A has, made anew for each question, and how each actor asks."""

    def __init__(self, api: Client, posts: Callable[[str], UUID], operator: Engine) -> None:
        self._api, self._posts = api, posts
        self._credentials = {
            "owner A": token(OWNER),
            "owner B": token(STRANGER),
            "reader": token("eve", role="operator_read"),
            "operator": token("ops", role="service_role"),
        }
        with session_of(operator) as session:
            for name, (is_owners, scope) in KEYS.items():
                wanted = NewKey(name, OWNER if is_owners else None, (scope,), None)
                made = make_key(session, wanted, actor="operator:ops", source="desk")
                self._credentials[name] = made.key

    def aimed_at(self, probe: Probe, *, owner: str = OWNER) -> dict[str, str]:
        """The ids of a video and of an upload of this owner's."""
        has_video = probe.body is None or "source_url" not in probe.body
        return {"post": self._video(owner, has_video=has_video), "upload": self.upload(owner)[0]}

    def ask(self, who: str, rule: str, probe: Probe, ids: Headers, **headers: str) -> Any:
        """Send the probe as this actor, with more headers perhaps."""
        if who in self._credentials:
            headers["Authorization"] = f"Bearer {self._credentials[who]}"
        fill = {"owner": OWNER, **ids}
        body = {
            name: value.format(**fill) if isinstance(value, str) else value
            for name, value in (probe.body or {}).items()
        }
        return self._api.call(
            rule.partition(" ")[0],
            probe.path.format(**fill),
            as_=None,
            headers=headers,
            json=body if probe.body is not None else None,
            allow_redirects=False,
        )

    def upload(self, owner: str) -> tuple[str, str]:
        """The id and the ticket of a new upload."""
        post_id = str(self._posts(owner))
        issued = self._api.post("/api/uploads", FILE | {"post_id": post_id}, as_=owner).json()
        return issued["upload_id"], issued["headers"][TICKET]

    def _video(self, owner: str, *, has_video: bool) -> str:
        post_id = self._posts(owner)
        if has_video:
            assert self._api.create(post_id, as_=owner, playback="signed").status_code == 202
        return str(post_id)


@pytest.fixture
def belongings(
    with_posts: Client, posts: Callable[[str], UUID], role_urls: Mapping[str, str]
) -> Iterator[Belongings]:
    operator = make_engine(role_urls["operator"], pool_size=1)
    yield Belongings(with_posts, posts, operator)
    operator.dispose()


@pytest.fixture
def environment(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """Streams that end at once, and room for as much as is asked about."""
    monkeypatch.setenv("KHRONIKA_STREAM_LIFE_SEC", "0.05")
    monkeypatch.setenv("KHRONIKA_OWNER_MAX_LIVE", "1000")
    monkeypatch.setenv("KHRONIKA_OWNER_MAX_UPLOADS", "1000")
    return environment


def test_every_route_is_classified(api: Client) -> None:
    assert {rule for rule in _rules(api) if CONSOLE not in rule} == ROUTES.keys()


@pytest.mark.parametrize("role", ["nobody", "authenticated", "operator_read", "service_role"])
def test_the_console_knows_nobody_by_a_token_alone(api: Client, role: str) -> None:
    """Its session is a cookie: what a page of another origin may send opens nothing."""
    headers = {} if role == "nobody" else {"Authorization": f"Bearer {token('ops', role=role)}"}
    open_page = f"GET {CONSOLE}/sign-in"
    for rule in {rule for rule in _rules(api) if CONSOLE in rule} - {open_page}:
        method, _, path = rule.partition(" ")
        filled = re.sub(r"<[^>]+>", str(uuid4()), path)
        answer = requests.request(
            method, api.url + filled, headers=headers, allow_redirects=False, timeout=60
        )
        assert answer.status_code in {303, 403}, rule
        if answer.status_code == 303:
            assert answer.headers["Location"].startswith(f"{CONSOLE}/sign-in"), rule


def test_every_route_lets_in_whom_it_is_for(belongings: Belongings) -> None:
    told = {}
    for rule, probe in _probes():
        ids = belongings.aimed_at(probe)
        letters = []
        for who in ACTORS:
            letters.append(ANSWERS.get(belongings.ask(who, rule, probe, ids).status_code, "+"))
            if letters[-1] == "+" and not rule.startswith("GET"):
                ids = belongings.aimed_at(probe)  # it may be gone, or changed
        told[rule, probe.path] = "".join(letters)

    assert told == {(rule, p.path): p.answers.replace(" ", "") for rule, p in _probes()}


def test_what_is_owner_as_cannot_be_told_from_nothing(
    belongings: Belongings, with_posts: Client
) -> None:
    with listening(with_posts) as asked:
        for rule, probe in _probes():
            if not probe.hides:
                continue
            nothing = {"post": str(uuid4()), "upload": str(uuid4())}
            belongings.ask("owner B", rule, probe, nothing)  # connections' own first statements
            told = []
            for ids in (belongings.aimed_at(probe), nothing):
                asked.clear()
                answer = belongings.ask("owner B", rule, probe, ids)
                told.append((_without_ids(answer, ids), list(asked)))
            assert told[0] == told[1], rule


def test_a_ticket_opens_its_own_upload_and_no_other(
    belongings: Belongings, with_posts: Client
) -> None:
    with listening(with_posts) as asked:
        for rule, probe in _probes():
            if probe.answers.strip("4 ") or "{upload}" not in probe.path or not probe.hides:
                continue
            (of_a, ticket), (_, of_b) = belongings.upload(OWNER), belongings.upload(STRANGER)
            told = []
            for upload in (of_a, str(uuid4())):
                asked.clear()
                ids = {"upload": upload}
                answer = belongings.ask("owner B", rule, probe, ids, **{TICKET: of_b})
                told.append((_without_ids(answer, ids), list(asked)))
            assert told[0] == told[1], rule
            assert told[0][0][0] == 404, rule
            own = belongings.ask("visitor", rule, probe, {"upload": of_a}, **{TICKET: ticket})
            assert own.status_code != 404, rule


def test_without_row_security_a_stranger_is_let_in_and_the_walk_would_see_it(
    belongings: Belongings, postgres_url: str
) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("ALTER TABLE video_assets DISABLE ROW LEVEL SECURITY")

    rule = "GET /api/video-assets/<uuid:post_id>"
    (probe,) = ROUTES[rule]
    assert belongings.ask("owner B", rule, probe, belongings.aimed_at(probe)).status_code == 200


def test_a_route_that_forgets_to_ask_whose_it_is_shows_a_caller_only_their_own(
    api: Client,
) -> None:
    forgetful = APIBlueprint("forgetful", __name__)

    @forgetful.get("/everything")
    @authorised(*Role)
    def everything() -> Any:
        with caller_session() as session:
            assets = session.scalars(select(Asset.owner_id)).all()
            uploads = session.scalars(select(Upload.owner_id)).all()
            actors = session.scalars(select(Event.actor)).all()
            answers = session.scalars(select(IdempotencyRecord.owner_id)).all()
        return jsonify(sorted({*assets, *uploads, *answers, *actors}))

    @forgetful.get("/nobody")
    def nobody() -> Any:
        with session_of(services().engines.api) as session:
            return jsonify([str(found) for found in session.scalars(select(Asset.id))])

    api.app.register_blueprint(forgetful)
    for owner in (OWNER, STRANGER):
        api.create(as_=owner, headers={"Idempotency-Key": "k"})
        api.post("/api/uploads", FILE | {"post_id": str(uuid4())}, as_=owner)

    assert api.get("/everything", as_=OWNER).json() == [OWNER, f"owner:{OWNER}"]
    assert api.get("/everything", as_=STRANGER).json() == [STRANGER, f"owner:{STRANGER}"]
    assert api.get("/nobody").json() == []


def _rules(api: Client) -> set[str]:
    return {
        f"{method} {rule.rule}"
        for rule in api.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def _probes() -> list[tuple[str, Probe]]:
    return [(rule, probe) for rule, probes in ROUTES.items() for probe in probes]


def _without_ids(answer: requests.Response, ids: Mapping[str, str]) -> tuple[Any, ...]:
    body, request_id = answer.text, answer.headers["X-Request-Id"]
    for found in (*ids.values(), request_id):
        body = body.replace(found, "-")
    return answer.status_code, answer.headers["Content-Type"], body, sorted(answer.headers)


@contextmanager
def listening(api: Client) -> Iterator[list[str]]:
    """The statements that the application sends, as it sends them."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    engines = (
        api.services.engines.api,
        api.services.engines.operator,
        api.services.engines.public,
    )
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield asked
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)
