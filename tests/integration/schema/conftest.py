"""A migrated database, entered as each of its roles, with one row of everything for two owners."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, NullPool, create_engine, text
from sqlalchemy.orm import Session

from pipeline.runtime.database import make_engine, session_of, user_session, with_driver

ALICE, BOB = "alice", "bob"


@contextmanager
def entered(url: str) -> Iterator[Connection]:
    """A connection of its own, closed at the end; what was not committed is gone."""
    engine = create_engine(with_driver(url), poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


@pytest.fixture
def engines(
    role_urls: Mapping[str, str], superuser_url: str | None
) -> Iterator[Mapping[str, Engine]]:
    """An engine per role; each with a pool of one connection, so that the pool is reused."""
    urls = {**role_urls, "superuser": superuser_url or role_urls["owner"]}
    made = {part: make_engine(url, pool_size=1) for part, url in urls.items()}
    yield made
    for engine in made.values():
        engine.dispose()


@dataclass(frozen=True)
class Belongings:
    """The ids of what one owner has."""

    owner_id: str
    asset_id: UUID
    post_id: UUID
    attempt_id: UUID
    upload_id: UUID


@pytest.fixture
def belongings(engines: Mapping[str, Engine]) -> Mapping[str, Belongings]:
    """One row in every table for each of two owners, and one of each table without an owner."""
    seeded = {owner: _seed(engines, owner) for owner in (ALICE, BOB)}
    with session_of(engines["api"]) as session:
        session.execute(
            text("""
                INSERT INTO audit_events (type, actor, provider)
                VALUES ('callback_rejected', 'provider:x', 'x')
            """)
        )
        session.execute(
            text("""
                INSERT INTO webhook_deliveries (id, provider, event_id, headers, body, body_sha256)
                VALUES (gen_random_uuid(), 'selfhosted', 'evt-1', '{}', '', '')
            """)
        )
    return seeded


def _seed(engines: Mapping[str, Engine], owner_id: str) -> Belongings:
    has = Belongings(owner_id, uuid4(), uuid4(), uuid4(), uuid4())
    with user_session(engines["api"], owner_id) as session:
        for statement in (
            """INSERT INTO video_assets (id, post_id, owner_id, source_url, max_attempts, provider,
                                         next_attempt_at, deadline_at, last_seq)
               VALUES (:asset_id, :post_id, :owner_id, 'https://example.com/a.mp4', 5,
                       'selfhosted', now(), now() + interval '1 day', 1)""",
            """INSERT INTO video_processing_events
                   (asset_id, seq, type, to_status, actor, generation)
               VALUES (:asset_id, 1, 'created', 'queued', 'owner:' || :owner_id, 1)""",
            """INSERT INTO uploads (id, owner_id, post_id, filename, mime_type, size_bytes,
                                    storage_key, expires_at)
               VALUES (:upload_id, :owner_id, :post_id, 'a.mp4', 'video/mp4', 1, 'k', now())""",
            """INSERT INTO idempotency_keys (owner_id, route, key, request_sha256, expires_at)
               VALUES (:owner_id, 'create', 'k', '', now())""",
        ):
            _execute(session, statement, has)
    with session_of(engines["worker"]) as session:
        for statement in (
            """INSERT INTO provider_attempts (id, asset_id, generation, number, provider)
               VALUES (:attempt_id, :asset_id, 1, 1, 'selfhosted')""",
            """INSERT INTO video_outputs (id, asset_id, generation, attempt_id, manifest_url,
                   fallback_url, poster_url, thumbnail_url, renditions, duration_sec, width, height)
               VALUES (gen_random_uuid(), :asset_id, 1, :attempt_id, 'm', 'f', 'p', 't', '[]',
                       1, 2, 2)""",
        ):
            _execute(session, statement, has)
    return has


def _execute(session: Session, statement: str, has: Belongings) -> None:
    session.execute(text(statement), vars(has))
