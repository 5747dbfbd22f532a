"""The audit's chain: every row that is changed, removed or added past it is found."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine, text

from pipeline.operations.audit_chain import AuditVerdict, verify_chain
from pipeline.records.schema_history import PIPELINE_HISTORY
from pipeline.runtime.database import session_of
from pipeline.runtime.migrate import migrate

ADD = """
    INSERT INTO audit_events (type, actor, source, request_id, detail)
    VALUES ('retry', 'operator:alice', '192.0.2.7', 'r', '{"post_id": "p"}')
"""
ROWS = 7


@pytest.fixture
def verdict(engines: Mapping[str, Engine]) -> Callable[..., AuditVerdict]:
    def verify(since_head: str | None = None) -> AuditVerdict:
        with session_of(engines["operator"]) as session:
            return verify_chain(session, since_head=since_head)

    return verify


@pytest.fixture
def filled(role_urls: Mapping[str, str]) -> None:
    for _ in range(ROWS):
        add(role_urls)


@pytest.fixture
def intruder(superuser_url: str | None) -> Iterator[psycopg.Connection]:
    """Whoever has the whole database: no trigger and no policy binds them."""
    if superuser_url is None:
        pytest.skip("only a superuser binds no trigger, and the environment named another login")
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection


def add(role_urls: Mapping[str, str]) -> None:
    with psycopg.connect(role_urls["operator"]) as connection:
        connection.execute(ADD)


def test_each_row_carries_the_hash_of_the_row_before_it(
    filled: None, verdict: Callable[..., AuditVerdict], role_urls: Mapping[str, str]
) -> None:
    with psycopg.connect(role_urls["operator"]) as connection:
        rows = connection.execute(
            "SELECT previous_hash, hash FROM audit_events ORDER BY chain_position"
        ).fetchall()
    assert [previous for previous, _ in rows] == [b"", *(own for _, own in rows[:-1])]
    found = verdict()
    assert (found.broken, found.rows, found.head) == (None, ROWS, rows[-1][1].hex())


TAMPERING = {
    "type": ("UPDATE audit_events SET type = 'cancel' WHERE id = 3", 3, 3),
    "actor": ("UPDATE audit_events SET actor = 'operator:bob' WHERE id = 3", 3, 3),
    "detail": ("UPDATE audit_events SET detail = '{}' WHERE id = 3", 3, 3),
    "instant": ("UPDATE audit_events SET created_at = created_at - '1 s'::interval WHERE id = 3",
                3, 3),
    "address": ("UPDATE audit_events SET source = '192.0.2.8' WHERE id = 3", 3, 3),
    "address and digest": (
        ("UPDATE audit_events SET source = 'x', source_salt = '', source_digest = sha256('x')"
        " WHERE id = 3"), 3, 3),
    "request": ("UPDATE audit_events SET request_id = NULL WHERE id = 3", 3, 3),
    "removed": ("DELETE FROM audit_events WHERE id = 3", 3, None),
    "removed and closed up": (
        ("DELETE FROM audit_events WHERE id = 3;"
        " UPDATE audit_events SET chain_position = -chain_position WHERE id > 3;"
        " UPDATE audit_events SET chain_position = -chain_position - 1 WHERE id > 3"), 3, 4),
    "first removed": ("DELETE FROM audit_events WHERE id = 1", 1, None),
    "tail removed": ("DELETE FROM audit_events WHERE id > 5", 6, None),
    "all removed": ("DELETE FROM audit_events", 1, None),
    "swapped": (
        ("UPDATE audit_events SET chain_position = -1 WHERE id = 3;"
        " UPDATE audit_events SET chain_position = 3 WHERE id = 4;"
        " UPDATE audit_events SET chain_position = 4 WHERE id = 3"), 3, 4),
    "added": ("INSERT INTO audit_events (type, actor) VALUES ('retry', 'operator:bob')", None, 8),
    "a hash of its own": (
        "UPDATE audit_events SET actor = 'operator:bob', hash = sha256('x') WHERE id = 3", 3, 3),
}  # fmt: skip


@pytest.mark.parametrize("kind", TAMPERING)
def test_the_first_broken_row_is_named(
    filled: None,
    verdict: Callable[..., AuditVerdict],
    intruder: psycopg.Connection,
    kind: str,
) -> None:
    statements, position, row_id = TAMPERING[kind]
    intruder.execute(statements.encode())
    broken = verdict().broken
    assert broken is not None
    assert (broken.position, broken.id) == (position, row_id)


def test_a_tail_that_was_cut_off_with_its_head_is_found_by_a_head_that_was_kept(
    filled: None,
    verdict: Callable[..., AuditVerdict],
    intruder: psycopg.Connection,
    role_urls: Mapping[str, str],
) -> None:
    kept = verdict().head
    add(role_urls)
    assert verdict(kept).broken is None
    intruder.execute(
        """DELETE FROM audit_events WHERE id > 5;
           UPDATE audit_chain_ends SET (chain_position, hash) = (
               SELECT chain_position, hash FROM audit_events WHERE id = 5)"""
    )
    assert verdict().broken is None
    broken = verdict(kept).broken
    assert broken is not None
    assert "the given head" in broken.reason


def test_writers_at_once_make_one_chain(
    verdict: Callable[..., AuditVerdict], role_urls: Mapping[str, str]
) -> None:
    with ThreadPoolExecutor(8) as writers:
        list(writers.map(lambda _: add(role_urls), range(40)))
    found = verdict()
    assert (found.broken, found.rows) == (None, 40)


def test_a_transaction_that_is_not_committed_keeps_nobody_waiting(
    verdict: Callable[..., AuditVerdict], role_urls: Mapping[str, str]
) -> None:
    with psycopg.connect(role_urls["operator"]) as slow:
        slow.execute(ADD)
        with psycopg.connect(role_urls["operator"]) as quick:
            quick.execute("SET lock_timeout = '1ms'")
            quick.execute(ADD)
        assert verdict().rows == 1
    found = verdict()
    assert (found.broken, found.rows) == (None, 2)


def test_an_action_that_is_rolled_back_leaves_no_gap(
    filled: None, verdict: Callable[..., AuditVerdict], role_urls: Mapping[str, str]
) -> None:
    with psycopg.connect(role_urls["operator"]) as connection:
        connection.execute(ADD)
        connection.rollback()
    add(role_urls)
    found = verdict()
    assert (found.broken, found.rows) == (None, ROWS + 1)


# The owner of the schema may do more, and the chain shows it.
REFUSED_TO_ALL = (
    "UPDATE audit_events SET actor = 'operator:bob'",
    "UPDATE audit_events SET source = NULL",
    "DELETE FROM audit_events",
    "TRUNCATE audit_events",
)
REFUSED_TO_LOGINS = (
    "UPDATE audit_chain_ends SET hash = ''",
    "DELETE FROM audit_chain_ends",
    "SELECT khronika_chain_audit(1)",
    "SET ROLE khronika_auditor",
)
LOGINS = ("api", "worker", "operator", "public")


@pytest.mark.parametrize(
    ("part", "statement"),
    [
        *product((*LOGINS, "owner"), REFUSED_TO_ALL),
        *product(LOGINS, REFUSED_TO_LOGINS),
    ],
)
def test_no_login_changes_or_removes_a_row(
    filled: None,
    verdict: Callable[..., AuditVerdict],
    role_urls: Mapping[str, str],
    part: str,
    statement: str,
) -> None:
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        psycopg.connect(role_urls[part]) as connection,
    ):
        connection.execute(sql.SQL(statement))
    assert verdict().broken is None


def test_the_chain_survives_the_retention(
    filled: None,
    verdict: Callable[..., AuditVerdict],
    intruder: psycopg.Connection,
    role_urls: Mapping[str, str],
) -> None:
    age(intruder, "id <= 4", days=400)
    with psycopg.connect(role_urls["worker"]) as worker:
        assert worker.execute("SELECT khronika_prune_audit(365, 3)").fetchall() == [(3,)]
        assert worker.execute("SELECT khronika_prune_audit(365, 3)").fetchall() == [(1,)]
        assert worker.execute("SELECT khronika_prune_audit(365, 3)").fetchall() == [(0,)]
    found = verdict()
    assert (found.broken, found.rows, found.removed) == (None, 3, 4)
    intruder.execute("DELETE FROM audit_events WHERE id = 5")
    broken = verdict().broken
    assert broken is not None
    assert broken.position == 5


def test_the_chain_goes_on_after_every_row_was_removed(
    filled: None,
    verdict: Callable[..., AuditVerdict],
    intruder: psycopg.Connection,
    role_urls: Mapping[str, str],
) -> None:
    age(intruder, "true", days=400)
    head = verdict().head
    with psycopg.connect(role_urls["worker"]) as worker:
        worker.execute("SELECT khronika_prune_audit(365, 100)")
    assert verdict(head).broken is None
    add(role_urls)
    found = verdict(head)
    assert (found.broken, found.rows, found.position) == (None, 1, ROWS + 1)


def test_the_workers_login_removes_nothing_recent(
    filled: None, role_urls: Mapping[str, str], intruder: psycopg.Connection
) -> None:
    age(intruder, "id = 1", days=29)
    with psycopg.connect(role_urls["worker"]) as worker:
        for days in (0, -1, 1):
            removed = worker.execute("SELECT khronika_prune_audit(%s, 100)", [days]).fetchall()
            assert removed == [(0,)]
        forgotten = worker.execute("SELECT khronika_forget_addresses(0, 100)").fetchall()
    assert forgotten == [(1,)]


def test_an_address_is_forgotten_and_the_chain_holds(
    filled: None,
    verdict: Callable[..., AuditVerdict],
    intruder: psycopg.Connection,
    role_urls: Mapping[str, str],
) -> None:
    age(intruder, "id <= 4", days=100)
    with psycopg.connect(role_urls["worker"]) as worker:
        for removed in (3, 1, 0):
            done = worker.execute("SELECT khronika_forget_addresses(90, 3)").fetchall()
            assert done == [(removed,)]
    with psycopg.connect(role_urls["operator"]) as connection:
        kept = connection.execute(
            "SELECT source, source_salt IS NULL FROM audit_events ORDER BY id"
        ).fetchall()
    assert kept == [(None, True)] * 4 + [("192.0.2.7", False)] * 3
    assert verdict().broken is None


def age(intruder: psycopg.Connection, rows: str, *, days: int) -> None:
    """Make rows older, and chain them anew: time cannot be moved for the triggers."""
    intruder.execute(
        f"""UPDATE audit_events SET created_at = created_at - '{days} d'::interval WHERE {rows};
            UPDATE audit_events SET chain_position = NULL;
            DELETE FROM audit_chain_ends;
            SELECT khronika_chain_audit(id) FROM (SELECT id FROM audit_events ORDER BY id) e
        """.encode()
    )


def test_rows_from_before_the_chain_are_a_part_of_it(
    engines: Mapping[str, Engine], verdict: Callable[..., AuditVerdict], postgres_url: str
) -> None:
    migrate(PIPELINE_HISTORY, postgres_url, "0014")
    with session_of(engines["operator"]) as session:
        for _ in range(3):
            session.execute(text(ADD.replace('{"post_id": "p"}', "{}")))
    migrate(PIPELINE_HISTORY, postgres_url)
    found = verdict()
    assert (found.broken, found.rows) == (None, 3)
