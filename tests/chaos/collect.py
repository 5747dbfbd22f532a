"""Reads the evidence: rows as superuser, past row-level security; books over HTTP."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import psycopg

from tests.chaos.clients import ClientLog
from tests.chaos.evidence import Evidence, SentEntry
from tests.chaos.provider.script import LIAR, LIE
from tests.laws.books import JobEntry, read_books


def collect(
    connection: psycopg.Connection,
    ledger: Mapping[str, Any],
    log: ClientLog,
    *,
    last_fault_at: datetime,
    recovery_sec: float,
) -> Evidence:
    """Gather everything the checks look at; ``ledger`` is the provider's."""
    return Evidence(
        books=read_books(connection, tuple(map(_job, ledger["jobs"]))),
        sent=tuple(map(_sent, ledger["sent"])),
        lies=tuple(entry["id"] for entry in ledger["jobs"] if _is_lie(entry)),
        other_bodies=tuple(ledger["other_bodies"]),
        acknowledged=tuple(log.acknowledged),
        deeds=tuple(log.deeds),
        last_fault_at=last_fault_at,
        recovery_sec=recovery_sec,
    )


def _is_lie(entry: Mapping[str, Any]) -> bool:
    return bool(entry["account"] == LIAR and entry["script"]["fate"] == LIE)


def _job(entry: Mapping[str, Any]) -> JobEntry:
    return JobEntry(
        id=entry["id"],
        status=entry["status"],
        playable=entry["playable"],
        given_up=entry["deleted_at"] is not None,
        accepted_at=_instant(entry["accepted_at"]),
        finished_at=_instant(entry["finished_at"]),
    )


def _sent(entry: Mapping[str, Any]) -> SentEntry:
    return SentEntry(**{field.name: entry[field.name] for field in fields(SentEntry)})


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


UNSETTLED = """
    SELECT (SELECT count(*) FROM video_assets
            WHERE deleted_at IS NULL AND status NOT IN ('completed', 'failed')),
           (SELECT count(*) FROM webhook_deliveries WHERE status = 'new'),
           (SELECT count(*) FROM provider_attempts
            WHERE release_requested_at IS NOT NULL AND released_at IS NULL)
"""


def unsettled(connection: psycopg.Connection) -> tuple[int, int, int]:
    """Assets under way, callbacks unread, releases owed."""
    row = connection.execute(UNSETTLED).fetchone()
    assert row is not None
    return int(row[0]), int(row[1]), int(row[2])
