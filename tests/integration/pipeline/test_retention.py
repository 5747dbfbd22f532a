"""Records that are older than the settings keep them go, in batches; the audit's chain holds."""

from collections.abc import Callable
from unittest.mock import patch

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.sweep import tidy
from pipeline.limits import owner_quotas
from pipeline.operations.audit_chain import verify_chain
from pipeline.records import cache_purges, due
from pipeline.runtime.database import session_of
from tests.integration.pipeline.conftest import World
from tests.scripted_provider import callback

DELIVERIES = """
    INSERT INTO webhook_deliveries (id, provider, event_id, headers, body, body_sha256, query,
                                    digest, status, received_at)
    SELECT gen_random_uuid(), 'selfhosted', 'evt-' || status || n, '{"a": "b"}', 'body', 'sha', 'q',
           'd', status, now() - n * interval '1 day'
    FROM generate_series(29, 33, 2) n, unnest(ARRAY['new', 'applied', 'dead', 'ignored']) status
"""
AUDITS = """
    INSERT INTO audit_events (type, actor, source, created_at)
    SELECT 'retry', 'operator:o', '192.0.2.7', now() - n * interval '1 day'
    FROM unnest(ARRAY[800, 731, 729, 100, 91, 89, 1]) n
"""


@pytest.fixture
def aged(world: World) -> World:
    world.execute(DELIVERIES)
    world.execute(AUDITS)
    return world


def rows(world: World, query: str) -> list[tuple[object, ...]]:
    with session_of(world.services.engine) as session:
        return [tuple(row) for row in session.execute(text(query))]


def test_old_records_go_and_younger_ones_stay(aged: World) -> None:
    tidy(aged.services)
    emptied = rows(
        aged, "SELECT event_id FROM webhook_deliveries WHERE emptied_at IS NOT NULL ORDER BY 1"
    )
    assert [name for (name,) in emptied] == [
        f"evt-{status}{age}" for status in ("applied", "dead", "ignored") for age in (31, 33)
    ]
    left = rows(
        aged,
        """SELECT DISTINCT emptied_at IS NULL, headers::text, convert_from(body, 'UTF8'), query,
                  body_sha256, digest FROM webhook_deliveries ORDER BY 1""",
    )
    assert left == [
        (False, "{}", "", "", "sha", "d"),
        (True, '{"a": "b"}', "body", "q", "sha", "d"),
    ]
    assert rows(aged, "SELECT source FROM audit_events ORDER BY id") == [
        *[(None,)] * 3,
        *[("192.0.2.7",)] * 2,
    ]
    with session_of(aged.operator) as session:
        found = verify_chain(session)
    assert (found.broken, found.rows, found.removed) == (None, 5, 2)


def test_small_batches_reach_the_same_end(aged: World) -> None:
    with patch.object(due, "KEPT_BATCH", 1):
        tidy(aged.services)
    assert rows(aged, "SELECT count(*) FROM audit_events") == [(5,)]
    assert rows(aged, "SELECT count(*) FROM webhook_deliveries WHERE body = ''") == [(6,)]


PAID = """
    INSERT INTO cache_purges (asset_id, reason, next_try_at, done_at)
    SELECT :asset, 'replaced', NULL, now() - n * interval '1 day' FROM unnest(ARRAY[1, 8, 9, 10]) n
"""
USAGE = """
    INSERT INTO owner_usage (owner_id, day) SELECT 'owner-' || n, current_date - 400
    FROM generate_series(1, 3) n
"""
KEYS = """
    INSERT INTO idempotency_keys (owner_id, route, key, request_sha256, created_at, expires_at)
    SELECT 'ana', '/create', n, '', now() - interval '2 days', now() - interval '1 day'
    FROM generate_series(1, 3) n
"""
COUNTS: dict[str, Callable[[Session], int]] = {
    "cache_purges": cache_purges.prune_purges,
    "owner_usage": owner_quotas.prune,
    "idempotency_keys": due.prune_idempotency_keys,
}


@pytest.fixture
def old(world: World) -> World:
    world.execute(PAID, asset=world.create())
    for statement in ("DELETE FROM owner_usage", USAGE, KEYS):
        world.execute(statement)
    return world


@pytest.mark.parametrize("table", COUNTS)
def test_no_statement_removes_more_than_a_batch(old: World, table: str) -> None:
    with patch.object(due, "KEPT_BATCH", 2):
        for expected in (2, 1, 0):
            with session_of(old.services.engine) as session:
                assert COUNTS[table](session) == expected


def test_a_run_removes_as_many_batches_as_there_are(old: World) -> None:
    with patch.object(due, "KEPT_BATCH", 1):
        tidy(old.services)
    left = {table: rows(old, f"SELECT count(*) FROM {table}") for table in COUNTS}
    assert left == {"cache_purges": [(1,)], "owner_usage": [(0,)], "idempotency_keys": [(0,)]}


def test_running_it_again_changes_nothing(aged: World) -> None:
    state = "SELECT id, emptied_at FROM webhook_deliveries ORDER BY id"
    tidy(aged.services)
    before = rows(aged, state)
    tidy(aged.services)
    assert rows(aged, state) == before


def test_a_callback_that_is_sent_again_after_that_is_still_known(world: World) -> None:
    world.create()
    signed = callback({"id": "0" * 32, "status": "running"}, "job.progress")
    first = world.receive(signed)
    assert first.wake is not None
    world.execute("UPDATE webhook_deliveries SET received_at = now() - interval '40 days'")
    reconcile(world.services, first.wake.id)
    tidy(world.services)
    assert world.delivery(first.wake.id).body == b""
    assert world.receive(signed).kind == "duplicate"
