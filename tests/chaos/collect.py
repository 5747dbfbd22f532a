"""Reads the evidence: rows as superuser, past row-level security; books over HTTP."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, TypeVar

import psycopg
from psycopg.rows import dict_row

from tests.chaos.clients import ClientLog
from tests.chaos.evidence import (
    AssetRow,
    AttemptRow,
    DeliveryRow,
    EventRow,
    Evidence,
    JobEntry,
    OutputRow,
    SentEntry,
)

Row = TypeVar("Row", AssetRow, AttemptRow, OutputRow, EventRow, DeliveryRow)

IDS = frozenset({"id", "post_id", "asset_id", "attempt_id", "published_output_id"})


def collect(
    connection: psycopg.Connection,
    books: Mapping[str, Any],
    log: ClientLog,
    *,
    last_fault_at: datetime,
    recovery_sec: float,
) -> Evidence:
    """Everything the invariants look at."""
    return Evidence(
        assets=_rows(connection, AssetRow, "video_assets"),
        attempts=_rows(connection, AttemptRow, "provider_attempts"),
        outputs=_rows(connection, OutputRow, "video_outputs"),
        events=_rows(connection, EventRow, "video_processing_events"),
        deliveries=_rows(connection, DeliveryRow, "webhook_deliveries"),
        jobs=tuple(map(_job, books["jobs"])),
        sent=tuple(map(_sent, books["sent"])),
        other_bodies=tuple(books["other_bodies"]),
        acknowledged=tuple(log.acknowledged),
        deeds=tuple(log.deeds),
        last_fault_at=last_fault_at,
        recovery_sec=recovery_sec,
    )


def _rows(connection: psycopg.Connection, row: type[Row], table: str) -> tuple[Row, ...]:
    names = [field.name for field in fields(row)]
    columns = ", ".join(f"{name}::text" if name in IDS else name for name in names)
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(f"SELECT {columns} FROM {table}").fetchall()
    return tuple(row(**values) for values in found)


def _job(entry: Mapping[str, Any]) -> JobEntry:
    accepted_at = _instant(entry["accepted_at"])
    assert accepted_at is not None
    return JobEntry(
        id=entry["id"],
        status=entry["status"],
        accepted_at=accepted_at,
        finished_at=_instant(entry["finished_at"]),
        deleted_at=_instant(entry["deleted_at"]),
        playable=entry["playable"],
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
