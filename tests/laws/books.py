"""The rows of the pipeline and the jobs of its provider at one instant, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar

import psycopg
from psycopg.rows import class_row

ALWAYS = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class AssetRow:
    """A row of ``video_assets``."""

    id: str
    post_id: str
    status: str
    generation: int
    attempt: int
    attempt_id: str | None
    failures: int
    max_attempts: int
    lease_token: int
    lease_expires_at: datetime | None
    next_poll_at: datetime | None
    deadline_at: datetime | None
    last_seq: int
    published_output_id: str | None
    error_code: str | None
    created_at: datetime
    deleted_at: datetime | None


@dataclass(frozen=True)
class AttemptRow:
    """A row of ``provider_attempts``."""

    id: str
    asset_id: str
    generation: int
    number: int
    outcome: str | None
    intended_at: datetime | None
    release_requested_at: datetime | None
    released_at: datetime | None
    purge_at: datetime | None
    purged_at: datetime | None

    @property
    def is_owed_release(self) -> bool:
        """Return true while a release is requested and not paid."""
        return self.release_requested_at is not None and self.released_at is None


@dataclass(frozen=True)
class OutputRow:
    """A row of ``video_outputs``."""

    id: str
    asset_id: str
    attempt_id: str
    published_at: datetime | None
    retired_at: datetime | None
    removed_at: datetime | None


@dataclass(frozen=True)
class EventRow:
    """A row of ``video_processing_events``."""

    asset_id: str
    seq: int
    created_at: datetime
    type: str
    actor: str
    from_status: str | None = None
    to_status: str | None = None
    generation: int = 1
    attempt: int | None = None
    provider_event_id: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DeliveryRow:
    """A row of ``webhook_deliveries``."""

    provider: str
    event_id: str
    body_sha256: str
    status: str
    asset_id: str | None


@dataclass(frozen=True)
class JobEntry:
    """A job in the provider's own books. Its id is the id of its attempt.

    Attributes:
        playable: Its outputs deserve to pass the gate.
        given_up: A DELETE was answered after the job existed.
        accepted_at: None if these books keep no times.
    """

    id: str
    status: str
    playable: bool
    given_up: bool
    accepted_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True)
class Books:
    """Everything that a check may look at.

    Attributes:
        events: The chronicles of all assets, in the order of ``seq``.
    """

    assets: Sequence[AssetRow]
    attempts: Sequence[AttemptRow]
    outputs: Sequence[OutputRow]
    events: Sequence[EventRow]
    deliveries: Sequence[DeliveryRow]
    jobs: Sequence[JobEntry]

    @cached_property
    def asset_of(self) -> Mapping[str, AssetRow]:
        """Return the assets by id."""
        return {asset.id: asset for asset in self.assets}

    @cached_property
    def attempt_of(self) -> Mapping[str, AttemptRow]:
        """Return the attempts by id, which is the job's id too."""
        return {attempt.id: attempt for attempt in self.attempts}

    @cached_property
    def output_of(self) -> Mapping[str, OutputRow]:
        """Return the outputs by id."""
        return {output.id: output for output in self.outputs}

    @cached_property
    def chronicles(self) -> Mapping[str, Sequence[EventRow]]:
        """Return the events of each asset in the order of ``seq``."""
        found: dict[str, list[EventRow]] = {asset.id: [] for asset in self.assets}
        for event in sorted(self.events, key=lambda event: event.seq):
            found.setdefault(event.asset_id, []).append(event)
        return found


Row = TypeVar("Row", AssetRow, AttemptRow, OutputRow, EventRow, DeliveryRow)

IDS = frozenset({"id", "post_id", "asset_id", "attempt_id", "published_output_id"})


def read_books(
    connection: psycopg.Connection, jobs: Sequence[JobEntry], *, since: datetime = ALWAYS
) -> Books:
    """Read every table, in the caller's transaction.

    Args:
        connection: Of a role that row-level security shows every row.
        jobs: The provider's own books.
        since: Leave out rows from before this instant.
    """
    return Books(
        assets=_rows(connection, AssetRow, "video_assets", "created_at", since),
        attempts=_rows(connection, AttemptRow, "provider_attempts", "created_at", since),
        outputs=_rows(connection, OutputRow, "video_outputs", "verified_at", since),
        events=_rows(connection, EventRow, "video_processing_events", "created_at", since),
        deliveries=_rows(connection, DeliveryRow, "webhook_deliveries", "received_at", since),
        jobs=jobs,
    )


def _rows(
    connection: psycopg.Connection, row: type[Row], table: str, instant: str, since: datetime
) -> Sequence[Row]:
    names = [field.name for field in fields(row)]
    columns = ", ".join(f"{name}::text" if name in IDS else name for name in names)
    with connection.cursor(row_factory=class_row(row)) as cursor:
        query = f"SELECT {columns} FROM {table} WHERE {instant} >= %s"
        return cursor.execute(query.encode(), [since]).fetchall()
