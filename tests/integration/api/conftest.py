"""The API on a real port, over a real database and broker, called as any client calls it."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from os import environ
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
import psycopg
import pytest
import requests
from apiflask import APIFlask
from sqlalchemy import Engine, select
from werkzeug.serving import make_server

from api.app import create_app
from api.wiring.services import EXTENSION, Services
from pipeline.content.object_urls import output_prefix, poster_prefix
from pipeline.domain.events import EventDraft, EventType
from pipeline.domain.states import Status
from pipeline.domain.values import Playback
from pipeline.media.tools import Tools, locate_tools
from pipeline.records import store
from pipeline.records.clock import from_now
from pipeline.records.models import Asset, Event
from pipeline.records.transitions import LEFT, Transition
from pipeline.runtime.database import make_engine, session_of
from pipeline.storage.prepare import prepare_storage
from stack.process_environment import LIMITS
from tests import clips
from tests.conditions import PATIENCE_SEC
from tests.scripted_provider import SECRET, TOKEN

JWT_SECRET = "j" * 32
SECRET_KEY = "s" * 32
SOURCE = "https://videos.example/holiday.mp4"

OWNER = "ana"
STRANGER = "boris"


EVENTS = {
    Status.QUEUED: EventType.RETRIED,
    Status.PROCESSING: EventType.CLAIMED,
    Status.RETRYING: EventType.RETRY_SCHEDULED,
    Status.COMPLETED: EventType.COMPLETED,
    Status.FAILED: EventType.FAILED,
}
IN_AN_HOUR = from_now(3600)
REQUIRED: Mapping[Status, Mapping[str, Any]] = {
    Status.QUEUED: {"deadline_at": IN_AN_HOUR},
    Status.PROCESSING: {"deadline_at": IN_AN_HOUR, "attempt_id": uuid4()},
    Status.RETRYING: {"deadline_at": IN_AN_HOUR, "error_code": "source_unreachable"},
    Status.COMPLETED: {},
    Status.FAILED: {},
}
"""Columns that the table requires of an asset in the state."""

LONGEST_RUN_SEC = 6 * 3600
"""Tokens of parametrised tests are made when all tests are collected, and used hours later on a
machine that does other things, too."""


def token(subject: str | None = OWNER, *, key: str = JWT_SECRET, **claims: Any) -> str:
    """A token as an issuer would make it; a claim given as None is left out."""
    now = int(time.time())
    every = {
        "sub": subject,
        "iss": "khronika",
        "aud": "authenticated",
        "exp": now + LONGEST_RUN_SEC,
        "role": "authenticated",
        **claims,
    }
    return jwt.encode({k: v for k, v in every.items() if v is not None}, key, algorithm="HS256")


@dataclass(frozen=True)
class Client:
    """Calls one running API."""

    url: str
    app: APIFlask

    @property
    def services(self) -> Services:
        services: Services = self.app.extensions[EXTENSION]
        return services

    def call(
        self, method: str, path: str, *, as_: str | None = OWNER, **options: Any
    ) -> requests.Response:
        """Send a request as an owner (None: as nobody), and hold every answer to what all obey."""
        headers = dict(options.pop("headers", {}))
        if as_ is not None:
            headers.setdefault("Authorization", f"Bearer {token(as_)}")
        answer = requests.request(
            method, self.url + path, headers=headers, timeout=PATIENCE_SEC, **options
        )
        assert answer.headers["X-Request-Id"]
        if answer.status_code >= 400 and method != "HEAD":
            _hold_to_rfc_9457(answer)
        return answer

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.call("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> requests.Response:
        return self.call("POST", path, json=json, **options)

    def create(self, post_id: UUID | None = None, **body: Any) -> requests.Response:
        """Create with a source that everybody may fetch, unless the body says otherwise."""
        options = {name: body.pop(name) for name in ("as_", "headers") if name in body}
        if "upload_id" not in body:
            body.setdefault("source_url", SOURCE)
        body = {"post_id": str(post_id or uuid4()), **body}
        return self.post("/api/video-assets/create", body, **options)

    def operator(self, method: str, path: str, role: str = "service_role") -> requests.Response:
        """Send a request as an operator."""
        headers = {"Authorization": f"Bearer {token('ops', role=role)}"}
        return self.call(method, path, as_=None, headers=headers)


def _hold_to_rfc_9457(answer: requests.Response) -> None:
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["type"].endswith(problem["code"])
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    assert {"title", "detail", "instance", "retryable", "errors"} <= problem.keys()


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch, role_urls: Mapping[str, str], broker_url: str, tmp_path: Path
) -> Mapping[str, str]:
    """Everything the API reads, set for this process and given for others."""
    variables = {
        "KHRONIKA_ENV": "development",
        "BROKER_URL": broker_url,
        "STORAGE_URL": (tmp_path / "post-videos").as_uri(),
        **{
            f"KHRONIKA_{role.upper()}_DATABASE_URL": role_urls[role]
            for role in ("api", "worker", "operator", "public")
        },
        "KHRONIKA_JWT_SECRET": JWT_SECRET,
        "KHRONIKA_SECRET_KEY": SECRET_KEY,
        "KHRONIKA_CORS_ORIGINS": "https://site.example",
        "KHRONIKA_SELFHOSTED_URL": "http://127.0.0.1:9",
        "KHRONIKA_SELFHOSTED_TOKEN": TOKEN,
        "KHRONIKA_SELFHOSTED_WEBHOOK_SECRETS": SECRET,
        "KHRONIKA_CALLBACK_MAX_BYTES": "4096",
        **dict.fromkeys(LIMITS, "100000/minute"),  # a test is hastier than people
        "KHRONIKA_SOURCE_MAX_BYTES": "10000000",
        "KHRONIKA_SOURCE_MAX_DURATION_SEC": "60",
    }
    prepare_storage(variables["STORAGE_URL"])
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Run the application of the present environment on a free port of loopback."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        monkeypatch.setenv("KHRONIKA_PUBLIC_URL", url)
        app = create_app()
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # the test server's own lines
        server = make_server("127.0.0.1", 0, app, threaded=True, fd=listening.fileno())
        thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
        thread.start()
        client = Client(url, app)
        try:
            yield client
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            client.services.close()


@pytest.fixture
def api(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    with serving(monkeypatch) as client:
        yield client


@pytest.fixture
def posts(postgres_url: str) -> Callable[[str], UUID]:
    """Makes a post of an owner in the site's own table."""
    with psycopg.connect(postgres_url) as connection:
        connection.execute(
            "CREATE TABLE posts (id uuid PRIMARY KEY, author text, media_kind text, video_url text)"
        )
        connection.execute("GRANT SELECT ON posts TO khronika_api, khronika_operator")

    def make(author: str) -> UUID:
        post_id = uuid4()
        with psycopg.connect(postgres_url) as connection:
            connection.execute("INSERT INTO posts VALUES (%s, %s)", [post_id, author])
        return post_id

    return make


@pytest.fixture
def with_posts(
    posts: Callable[[str], UUID],
    environment: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Client]:
    monkeypatch.setenv("KHRONIKA_POSTS_TABLE", "public.posts")
    monkeypatch.setenv("KHRONIKA_POSTS_OWNER_COLUMN", "author")
    with serving(monkeypatch) as client:
        yield client


@dataclass(frozen=True)
class World:
    """What the worker would do, and what is really in the database.

    Attributes:
        superuser: Whom no grant binds, to make what time would have made.
    """

    engine: Engine
    superuser: Engine

    def asset(self, asset_id: str) -> Asset:
        with session_of(self.engine) as session:
            return session.scalars(select(Asset).where(Asset.id == UUID(asset_id))).one()

    def only(self, model: type[Any]) -> Any:
        """The one row there is."""
        with session_of(self.engine) as session:
            return session.scalars(select(model)).one()

    def all(self, model: type[Any]) -> Sequence[Any]:
        with session_of(self.engine) as session:
            return session.scalars(select(model)).all()

    def count(self, model: type[Any] = Asset) -> int:
        return len(self.all(model))

    def events(self, asset_id: str) -> list[Event]:
        with session_of(self.engine) as session:
            chosen = select(Event).where(Event.asset_id == UUID(asset_id)).order_by(Event.seq)
            return list(session.scalars(chosen))

    def move(self, asset_id: str, target: Status, **changes: Any) -> Asset:
        """Take an edge, as the worker would."""
        with session_of(self.engine) as session:
            locked = store.lock(session, UUID(asset_id))
            assert locked is not None
            event = EventDraft(EVENTS[target], "worker", provider_job_id=changes.pop("job", None))
            columns = {**LEFT, **REQUIRED[target], **changes}
            return store.advance(session, locked.asset, Transition(target, event, columns))

    def amend(self, asset_id: str, **changes: Any) -> Asset:
        """Change columns and write no event, as a progress report does."""
        with session_of(self.superuser) as session:
            locked = store.lock(session, UUID(asset_id))
            assert locked is not None
            return store.advance(session, locked.asset, Transition(None, None, changes))

    def fail(self, asset_id: str, code: str = "source_unreachable") -> Asset:
        return self.move(asset_id, Status.FAILED, error_code=code, error_message="It failed.")

    def complete(self, asset_id: str, attempt_id: UUID | None = None) -> Asset:
        """Publish outputs under the attempt's prefix, 8 s after the asset was created.

        There need not be such files.
        """
        asset = self.asset(asset_id)
        ready_at = asset.created_at + timedelta(seconds=8)
        attempt_id = attempt_id or uuid4()
        whose = asset.id, attempt_id, Playback(asset.playback)
        outputs, pictures = output_prefix(*whose), poster_prefix(*whose)
        self.move(asset_id, Status.PROCESSING, progress=50.0)
        return self.move(
            asset_id,
            Status.COMPLETED,
            published_output_id=uuid4(),
            manifest_url=f"storage:{outputs}/master.m3u8",
            fallback_url=f"storage:{outputs}/fallback/video.mp4",
            poster_url=f"storage:{pictures}/poster.jpg",
            thumbnail_url="https://cdn.example/thumb.jpg",
            storyboard_url=f"storage:{pictures}/storyboard.vtt",
            duration_sec=5.28,
            width=1280,
            height=720,
            completed_at=ready_at,
            playable_at=ready_at,
        )


@pytest.fixture
def world(role_urls: Mapping[str, str], superuser_url: str | None) -> Iterator[World]:
    engine = make_engine(role_urls["worker"])
    superuser = make_engine(superuser_url or role_urls["owner"], pool_size=1)
    yield World(engine, superuser)
    engine.dispose()
    superuser.dispose()


@pytest.fixture(scope="session")
def tools() -> Tools:
    return locate_tools(environ)


@pytest.fixture(scope="session")
def clip(clip_folder: Path, tools: Tools) -> Path:
    """A small real video."""
    return clips.widescreen(clip_folder, tools)
