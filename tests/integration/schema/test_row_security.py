"""Owners see only their own, and only the database decides what that is."""

from collections.abc import Mapping
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from pipeline.database import session_of, user_session
from tests.integration.schema.conftest import ALICE, BOB, Belongings

OWNED = {
    "video_assets": "id = :asset_id",
    "provider_attempts": "asset_id = :asset_id",
    "video_outputs": "asset_id = :asset_id",
    "video_processing_events": "asset_id = :asset_id",
    "uploads": "owner_id = :owner_id",
    "idempotency_keys": "owner_id = :owner_id",
}
"""Every table with something of an owner's, and what makes a row hers."""

WRITABLE = {
    "video_assets": "title = 'changed'",
    "uploads": "filename = 'changed'",
    "idempotency_keys": "response = '{}'",
}
"""What the API may update at all."""


def count(session: Session, table: str, where: str, has: Belongings) -> int:
    found = session.scalar(text(f"SELECT count(*) FROM {table} WHERE {where}"), vars(has))
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize("table", OWNED)
def test_an_owner_sees_her_own_rows_and_nobody_elses(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings], table: str
) -> None:
    with user_session(engines["api"], ALICE) as session:
        assert count(session, table, OWNED[table], belongings[ALICE]) == 1
        assert count(session, table, OWNED[table], belongings[BOB]) == 0
        assert count(session, table, "true", belongings[ALICE]) == 1


@pytest.mark.parametrize("table", OWNED)
@pytest.mark.parametrize("user", ["", None], ids=["empty", "unset"])
def test_without_a_user_nothing_is_seen(
    engines: Mapping[str, Engine],
    belongings: Mapping[str, Belongings],
    table: str,
    user: str | None,
) -> None:
    entered = session_of(engines["api"]) if user is None else user_session(engines["api"], user)
    with entered as session:
        assert count(session, table, "true", belongings[ALICE]) == 0


@pytest.mark.parametrize("table", WRITABLE)
def test_an_owner_cannot_change_what_is_someone_elses(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings], table: str
) -> None:
    change = text(f"UPDATE {table} SET {WRITABLE[table]} WHERE {OWNED[table]} RETURNING 1")
    with user_session(engines["api"], ALICE) as session:
        assert session.scalars(change, vars(belongings[BOB])).all() == []
        assert session.scalars(change, vars(belongings[ALICE])).all() == [1]


@pytest.mark.parametrize("table", WRITABLE)
def test_an_owner_cannot_give_a_row_away(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings], table: str
) -> None:
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        user_session(engines["api"], ALICE) as session,
    ):
        session.execute(text(f"UPDATE {table} SET owner_id = 'bob' WHERE owner_id = 'alice'"))


@pytest.mark.parametrize(
    "statement",
    [
        """INSERT INTO video_assets (id, post_id, owner_id, source_url, max_attempts, provider,
                                     deadline_at)
           VALUES (:fresh, :fresh, 'bob', 'https://example.com/b.mp4', 5, 'selfhosted', now())""",
        """INSERT INTO uploads (id, owner_id, post_id, filename, mime_type, size_bytes,
                                storage_key, expires_at)
           VALUES (:fresh, 'bob', :fresh, 'b.mp4', 'video/mp4', 1, 'k', now())""",
        """INSERT INTO idempotency_keys (owner_id, route, key, request_sha256, expires_at)
           VALUES ('bob', 'create', 'theirs', '', now())""",
        """INSERT INTO video_processing_events (asset_id, seq, type, actor, generation)
           VALUES (:asset_id, 2, 'forged', 'owner:bob', 1)""",
        """INSERT INTO video_processing_events (asset_id, seq, type, actor, generation)
           VALUES (:asset_id, 2, 'forged', 'worker', 1)""",
    ],
)
def test_an_owner_cannot_write_in_someone_elses_name(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings], statement: str
) -> None:
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        user_session(engines["api"], ALICE) as session,
    ):
        session.execute(text(statement), {"fresh": uuid4()} | vars(belongings[ALICE]))


def test_an_owner_cannot_append_to_a_strangers_chronicle(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings]
) -> None:
    forge = text("""
        INSERT INTO video_processing_events (asset_id, seq, type, actor, generation)
        VALUES (:asset_id, 2, 'forged', 'owner:alice', 1)
    """)
    with (
        pytest.raises(ProgrammingError, match="no such asset"),
        user_session(engines["api"], ALICE) as session,
    ):
        session.execute(forge, vars(belongings[BOB]))


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM video_assets",
        "DELETE FROM uploads",
        "INSERT INTO provider_attempts SELECT * FROM provider_attempts",
        "UPDATE provider_attempts SET outcome = 'completed'",
        "INSERT INTO video_outputs SELECT * FROM video_outputs",
        "UPDATE video_outputs SET published_at = now()",
        "UPDATE webhook_deliveries SET status = 'new'",
        "DELETE FROM webhook_deliveries",
        "SELECT body FROM webhook_deliveries",
        "SELECT headers FROM webhook_deliveries",
        "UPDATE audit_events SET type = 'forged'",
        "DELETE FROM audit_events",
        "SELECT reason FROM audit_events",
        "SELECT khronika_make_event_partitions(1)",
        "CREATE TABLE public.mine (id integer)",
        "SET ROLE khronika_operator",
        "SET ROLE khronika_viewer",
    ],
)
def test_the_api_has_no_right_to(engines: Mapping[str, Engine], statement: str) -> None:
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        user_session(engines["api"], ALICE) as session,
    ):
        session.execute(text(statement))


def test_a_pooled_connection_carries_nothing_over(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings]
) -> None:
    backend = text("SELECT pg_backend_pid()")
    with user_session(engines["api"], ALICE) as session:
        first = session.scalar(backend)
        assert count(session, "video_assets", "true", belongings[ALICE]) == 1

    with session_of(engines["api"]) as session:
        assert session.scalar(backend) == first
        assert session.scalar(text("SELECT current_setting('khronika.user_id', true)")) == ""
        assert count(session, "video_assets", "true", belongings[ALICE]) == 0


def test_a_transaction_that_failed_carries_nothing_over(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings]
) -> None:
    with pytest.raises(ProgrammingError), user_session(engines["api"], ALICE) as session:
        session.execute(text("SELECT no_such_column FROM video_assets"))

    with session_of(engines["api"]) as session:
        assert count(session, "video_assets", "true", belongings[ALICE]) == 0


def test_a_hostile_user_id_is_only_a_name(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings]
) -> None:
    with user_session(engines["api"], "' OR true --") as session:
        assert count(session, "video_assets", "true", belongings[ALICE]) == 0


# Of video_assets the owner sees what everybody may see: it made the public function over to
# khronika_viewer, which takes being a member of it.
@pytest.mark.parametrize("table", sorted(OWNED.keys() - {"video_assets"}))
def test_row_security_holds_for_the_tables_owner_too(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings], table: str
) -> None:
    with session_of(engines["owner"]) as session:
        if session.scalar(text("SHOW is_superuser")) == "on":
            pytest.skip("DATABASE_URL's login is a superuser, whom nothing binds")
        assert count(session, table, "true", belongings[ALICE]) == 0


@pytest.mark.parametrize("part", ["worker", "operator"])
def test_who_works_for_all_owners_sees_all(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings], part: str
) -> None:
    with session_of(engines[part]) as session:
        for table in OWNED:
            assert count(session, table, "true", belongings[ALICE]) == 2, table
