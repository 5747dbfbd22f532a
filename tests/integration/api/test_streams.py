"""Live status over a real connection: who is sent what, and what becomes of streams."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine, event
from sqlalchemy.engine import make_url

from api.identity.tokens import Role
from api.live import viewer_documents
from api.live.stream_tickets import PUBLIC, Viewer, sign_ticket
from api.live.viewer_documents import ViewerDocuments
from api.routes import streams as routes
from pipeline.access.api_keys import NewKey, make_key
from pipeline.domain.states import Status
from pipeline.runtime.database import session_of
from pipeline.runtime.signed_tokens import sign_token
from tests.conditions import wait_until
from tests.integration.api.conftest import (
    OWNER,
    SECRET_KEY,
    STRANGER,
    Client,
    World,
    serving,
    token,
)
from tests.integration.api.following import following, ticket_of
from tests.shared_run import Databases

OWNERS_ONLY = {"owner_id", "provider", "attempt", "error_code", "queue_position"}
ADDRESSES = ("manifest_url", "fallback_url", "poster_url", "thumbnail_url", "storyboard_url")


@pytest.fixture
def environment(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """A reader that looks often: these tests wait for it."""
    hasty = {"KHRONIKA_STREAM_LOOK_SEC": "0.05"}
    for name, value in hasty.items():
        monkeypatch.setenv(name, value)
    return {**environment, **hasty}


@pytest.fixture
def posts(api: Client) -> list[str]:
    """Posts of two owners, of which the first has a signed video."""
    made = (api.create(playback="signed"), api.create(as_=STRANGER))
    return [answer.json()["post_id"] for answer in made]


def asset_id(api: Client, post_id: str) -> str:
    return str(api.operator("GET", f"/api/video-assets/{post_id}").json()["id"])


def card(api: Client, post_id: str) -> Any:
    return api.get(f"/api/video-assets/{post_id}/playback", as_=None).json()


def test_a_stream_sends_what_is_and_then_every_change_progress_included(
    api: Client, world: World
) -> None:
    asset = api.create(title="Holiday").json()
    with following(api.url, [asset["post_id"]]) as stream:
        headers = stream.answer.headers
        assert headers["Content-Type"] == "text/event-stream"
        assert (headers["Cache-Control"], headers["X-Accel-Buffering"]) == ("no-store", "no")
        first = stream.next()
        assert (first.type, first.data) == ("asset", card(api, asset["post_id"]))
        world.move(asset["id"], Status.PROCESSING, progress=1.0)
        assert stream.next().data["progress"] == 1.0
        world.amend(asset["id"], progress=2.0)
        assert stream.next().data["progress"] == 2.0
        world.amend(asset["id"], progress=None)
        stream.next()
        world.fail(asset["id"])
        assert stream.next().data == card(api, asset["post_id"])


def test_each_sees_in_one_process_what_is_theirs_and_of_all_else_what_everybody_sees(
    api: Client, world: World, posts: list[str]
) -> None:
    for post_id in posts:
        world.complete(asset_id(api, post_id))
    owners = {
        OWNER: {posts[0]},
        STRANGER: {posts[1]},
        None: set(),
        "ops": set(posts),
        "reader": set(posts),
    }
    roles = {"ops": "service_role", "reader": "operator_read"}
    with ExitStack() as stack:
        streams = {
            subject: stack.enter_context(
                following(
                    api.url,
                    posts,
                    ticket=subject
                    and ticket_of(api.url, subject, roles.get(subject, "authenticated")),
                )
            )
            for subject in owners
        }
        for turn in range(2):
            for subject, theirs in owners.items():
                is_hidden = posts[0] not in theirs
                # The signed video is gone once, and no change of it is told.
                for post_id, sent in streams[subject].take(1 if is_hidden and turn else 2).items():
                    shown = sent.data
                    if is_hidden and post_id == posts[0]:
                        assert (turn, sent.type, shown) == (0, "gone", {"post_id": post_id})
                        continue
                    assert (shown.keys() >= OWNERS_ONLY) is (post_id in theirs), (subject, turn)
                    if post_id not in theirs:
                        assert shown == card(api, post_id)
                    assert all(shown[name] is not None for name in ADDRESSES)
            for post_id in posts:
                world.amend(asset_id(api, post_id), width=640 + turn)


def test_a_post_without_a_video_is_gone_once_and_comes_when_it_has_one(api: Client) -> None:
    post_id, other = str(uuid4()), api.create().json()["post_id"]
    with following(api.url, [post_id, other]) as stream:
        first = stream.take(2)
        assert (first[post_id].type, first[post_id].data) == ("gone", {"post_id": post_id})
        api.create(UUID(post_id))
        assert (stream.next().type) == "asset"
        api.call("DELETE", f"/api/video-assets/{post_id}")
        assert stream.next().type == "gone"
        # Nothing more is said of it: what comes next is of the other post.
        api.call("POST", f"/api/video-assets/{other}/cancel")
        assert stream.next().post_id == other


def test_a_stream_that_goes_on_sends_only_what_has_changed(api: Client, world: World) -> None:
    assets = [api.create().json() for _ in range(3)]
    posts = [asset["post_id"] for asset in assets]
    ticket = ticket_of(api.url, OWNER)
    with following(api.url, posts, ticket=ticket) as stream:
        last_id = list(stream.take(3).values())[-1].id
    world.amend(assets[1]["id"], title="Changed")
    with following(api.url, posts, ticket=ticket, last_id=last_id) as stream:
        sent = stream.next()
        assert (sent.post_id, sent.data["title"]) == (posts[1], "Changed")
        world.amend(assets[2]["id"], title="Later")
        assert stream.next().post_id == posts[2]


@pytest.mark.parametrize("last_id", ["", "x", "%%%", "AAAA", "A" * 8, "é"])
def test_an_id_that_is_none_of_ours_gets_everything(api: Client, last_id: str) -> None:
    posts = [api.create().json()["post_id"] for _ in range(2)]
    with following(api.url, posts, last_id=last_id.encode().decode("latin-1")) as stream:
        assert stream.take(2).keys() == set(posts)


def test_a_stream_ends_by_itself_and_says_when_to_come_back(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KHRONIKA_STREAM_LIFE_SEC", "0.3")
    with serving(monkeypatch) as api, following(api.url, [str(uuid4())]) as stream:
        retry, gone = stream.blocks()
    assert retry == ["retry: 2000"]
    assert gone[0] == "event: gone"


def figures(api: Client) -> str:
    return api.get("/metrics", as_=None).text


def test_over_the_cap_a_stream_is_refused_until_another_ends(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KHRONIKA_STREAM_CLIENTS", "2")
    # Whoever has gone is noticed without being sent anything.
    monkeypatch.setattr(routes, "HEARTBEAT_SEC", 3600.0)
    post_id = str(uuid4())

    def ask() -> Any:
        query = {"post_ids": post_id}
        return api.get("/api/video-assets/stream", as_=None, params=query, stream=True)

    with serving(monkeypatch) as api:
        with following(api.url, [post_id]) as one, following(api.url, [post_id]) as other:
            one.next()
            other.next()
            refused = ask()
            assert (refused.status_code, refused.json()["code"]) == (503, "stream_full")
            assert refused.json()["retryable"] is True
            assert int(refused.headers["Retry-After"]) > 0
            # Streams of earlier tests, of which this process knows too, may still be ending.
            wait_until(lambda: "khronika_stream_clients 2.0" in figures(api))
            assert "khronika_stream_full_total" in figures(api)
        wait_until(lambda: ask().status_code == 200)


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """What is sent to the database meanwhile."""
    sent: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_a_look_is_one_statement_however_many_follow_and_more_only_for_what_has_changed(
    api: Client, world: World, posts: list[str]
) -> None:
    wanted = [UUID(post_id) for post_id in posts]
    mine = Viewer(owner_id=OWNER)
    documents = ViewerDocuments(
        api.services.engines, api.services.settings.media_urls, clock=lambda: 0.0
    )
    followed = {PUBLIC: wanted, mine: wanted}
    documents.read(followed)
    engines = api.services.engines
    with statements(engines.public) as public, statements(engines.api) as owners:
        documents.read(followed)
        assert [len(public), len(owners)] == [1, 0]
        world.move(asset_id(api, posts[0]), Status.PROCESSING)
        seen = documents.read(followed)
        # The user's id, then the one post that has changed.
        assert [len(public), len(owners)] == [2, 2]
    assert '"owner_id"' in seen[mine][wanted[0]].data
    assert '"owner_id"' not in seen[PUBLIC][wanted[0]].data


def test_no_stream_holds_a_session(api: Client, posts: list[str]) -> None:
    engines = api.services.engines
    with ExitStack() as stack:
        for _ in range(10):
            ticket = ticket_of(api.url, OWNER)
            stack.enter_context(following(api.url, posts, ticket=ticket)).take(2)
        pools = [engine.pool for engine in (engines.public, engines.api)]
        assert all(pool.checkedout() <= 1 for pool in pools)  # type: ignore[attr-defined]


def test_a_place_in_the_queue_moves_up_without_a_change_of_the_asset(
    api: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer_documents, "TURNS_EVERY_SEC", 0.0)
    first, mine = api.create(as_=STRANGER).json(), api.create().json()
    with following(api.url, [mine["post_id"]], ticket=ticket_of(api.url, OWNER)) as stream:
        before = stream.next().data
        world.move(first["id"], Status.PROCESSING)
        after = stream.next().data
    assert (before["queue_position"], after["queue_position"]) == (2, 1)
    assert after | {"queue_position": 2} == before


def test_addresses_are_given_anew_before_they_end(
    api: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = api.create(playback="signed").json()
    world.complete(asset["id"])
    documents = ViewerDocuments(api.services.engines, api.services.settings.media_urls)
    post_id, mine = UUID(asset["post_id"]), Viewer(owner_id=OWNER)
    first = documents.read({mine: [post_id]})[mine][post_id]
    assert documents.read({mine: [post_id]})[mine][post_id] is first
    later = datetime.now(UTC) + timedelta(days=1)

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return later.astimezone(tz)

    monkeypatch.setattr(viewer_documents, "datetime", Tomorrow)
    assert documents.read({mine: [post_id]})[mine][post_id] is not first


def test_streams_outlive_the_database(
    api: Client, world: World, postgres_url: str, databases: Databases
) -> None:
    asset = api.create().json()
    name = sql.Identifier(str(make_url(postgres_url).database))
    with (
        following(api.url, [asset["post_id"]]) as stream,
        psycopg.connect(databases.admin_url, autocommit=True) as admin,
    ):
        stream.next()
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        admin.execute(query, [make_url(postgres_url).database])
        wait_until(lambda: api.services.streams.is_database_away)
        with following(api.url, [asset["post_id"]]) as late:
            admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
            assert late.next().post_id == asset["post_id"]
        world.engine.dispose()
        world.move(asset["id"], Status.PROCESSING)
        assert stream.next().data["status"] == "processing"


def refusal(api: Client, **query: str) -> tuple[int, str]:
    answer = api.get("/api/video-assets/stream", as_=None, params=query)
    return answer.status_code, answer.json()["code"]


def test_a_ticket_that_is_none_or_of_yesterday_opens_nothing(api: Client) -> None:
    key, post_id = api.services.settings.media_urls.key, str(uuid4())
    ended = sign_ticket(key, OWNER, Role.OWNER, expires_at=datetime.now(UTC))
    upload = {"post_id": post_id, "filename": "a.mp4", "size_bytes": 9, "mime_type": "video/mp4"}
    foreign = api.post("/api/uploads", upload).json()["headers"]["X-Upload-Token"]
    good = ticket_of(api.url, OWNER)
    payload = [OWNER, Role.OWNER.value, 2**31]
    others = sign_token(SECRET_KEY, payload, purpose="khronika.other.v1")
    assert refusal(api, post_ids=post_id, ticket=ended) == (401, "ticket_expired")
    for bad in (foreign, others, token(), "", "x", good[:-1], good[1:]):
        assert refusal(api, post_ids=post_id, ticket=bad) == (401, "ticket_invalid"), bad


def test_a_ticket_lasts_as_long_as_it_says_and_is_kept_nowhere(api: Client) -> None:
    answer = api.post("/api/stream-tickets")
    ends_at = datetime.fromisoformat(answer.json()["expires_at"])
    lifetime = timedelta(seconds=api.services.settings.streams.ticket_sec)
    assert timedelta(0) < ends_at - datetime.now(UTC) <= lifetime
    assert answer.headers["Cache-Control"] == "no-store"


def test_only_who_may_see_an_owners_videos_gets_a_ticket(api: Client) -> None:
    def asked(scope: str) -> int:
        with session_of(api.services.engines.operator) as session:
            made = make_key(
                session, NewKey("site", OWNER, [scope]), actor="operator:ops", source=None
            )
        headers = {"Authorization": f"Bearer {made.key}"}
        return api.post("/api/stream-tickets", headers=headers).status_code

    assert api.post("/api/stream-tickets", as_=None).status_code == 401
    assert [asked("assets:read"), asked("playback")] == [201, 403]


@pytest.mark.parametrize(
    "post_ids", ["", ",", "nonsense", ",".join(str(uuid4()) for _ in range(101))]
)
def test_posts_that_cannot_be_followed_are_refused(api: Client, post_ids: str) -> None:
    assert refusal(api, post_ids=post_ids) == (422, "validation_failed")


def test_a_stream_may_be_asked_for_by_head(api: Client) -> None:
    query = {"post_ids": str(uuid4())}
    answer = api.call("HEAD", "/api/video-assets/stream", as_=None, params=query)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/event-stream")
