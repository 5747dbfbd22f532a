"""Due rows: one query for each pass of the sweep, served by a partial index, in bounded batches.

``SKIP LOCKED`` lets any number of sweeps run at once: they share the work instead of repeating it.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, func, select, text, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from pipeline.domain.states import LIVE, WAITING, Status
from pipeline.domain.values import DeliveryStatus
from pipeline.records.clock import interval
from pipeline.records.models import Asset, Attempt, Delivery, Upload

KEPT_BATCH = 1000
"""Old records that the maintenance removes in one transaction."""
BATCH = 200
"""Rows that a pass takes at once: a few milliseconds of locks, however long the backlog."""


def waiting_assets(session: Session, *, grace_sec: float) -> list[UUID]:
    """Return assets whose next attempt is due and whose last wake, if any, had no effect.

    They are marked as woken, so that not every sweep publishes a backlog again.
    """
    due = (
        select(Asset.id)
        .where(
            Asset.status.in_(WAITING),
            Asset.deleted_at.is_(None),
            Asset.next_attempt_at <= func.now(),
            Asset.woken_at.is_(None) | (Asset.woken_at < _ago(grace_sec)),
        )
        .order_by(Asset.next_attempt_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    woken = (
        update(Asset)
        .where(Asset.id.in_(due.scalar_subquery()))
        .values(woken_at=func.now())
        .returning(Asset.id)
        .execution_options(synchronize_session=False)
    )
    return list(session.scalars(woken))


def lapsed_leases(session: Session) -> list[UUID]:
    """Return assets whose worker let its lease lapse."""
    processing = (Asset.status == Status.PROCESSING, Asset.deleted_at.is_(None))
    return _oldest(session, Asset.id, Asset.lease_expires_at, *processing)


def late_callbacks(session: Session) -> list[UUID]:
    """Return assets whose next poll is due."""
    processing = (Asset.status == Status.PROCESSING, Asset.deleted_at.is_(None))
    return _oldest(session, Asset.id, Asset.next_poll_at, *processing)


def past_deadlines(session: Session) -> list[UUID]:
    """Return assets that have been in a live state for too long."""
    live = (Asset.status.in_(LIVE), Asset.deleted_at.is_(None))
    return _oldest(session, Asset.id, Asset.deadline_at, *live)


def unread_deliveries(session: Session, *, grace_sec: float) -> list[UUID]:
    """Return callbacks in the inbox whose next try is overdue by the grace."""
    unread = Delivery.status == DeliveryStatus.NEW
    return _oldest(session, Delivery.id, Delivery.next_try_at, unread, grace_sec=grace_sec)


def has_unread_delivery(session: Session, account: str, before: datetime) -> bool:
    """Return true if a callback of an account came before an instant and nobody has read it.

    A callback that was read and must wait has a later try, and counts no more.

    Index: ``webhook_deliveries_unread``.
    """
    unread = select(Delivery.id).where(
        Delivery.status == DeliveryStatus.NEW,
        Delivery.provider == account,
        Delivery.next_try_at <= before,
        Delivery.next_try_at == Delivery.received_at,
    )
    return session.scalar(unread.limit(1)) is not None


def unpaid_releases(session: Session, accounts: Collection[str]) -> list[UUID]:
    """Return attempts with a release owed at one of these accounts."""
    unpaid = (Attempt.released_at.is_(None), Attempt.provider.in_(accounts))
    return _oldest(session, Attempt.id, Attempt.release_requested_at, *unpaid)


def _oldest(
    session: Session,
    key: InstrumentedAttribute[UUID],
    instant: InstrumentedAttribute[datetime | None],
    *conditions: ColumnElement[bool],
    grace_sec: float = 0,
) -> list[UUID]:
    """Return the rows whose instant has passed by the grace, the longest overdue first."""
    due = select(key).where(*conditions, instant <= _ago(grace_sec)).order_by(instant).limit(BATCH)
    return list(session.scalars(due))


def _ago(seconds: float) -> ColumnElement[datetime]:
    """Return an instant in the past.

    ``now()`` has one value in a statement, so an index can serve the comparison.
    """
    return func.now() - interval(seconds)


def discarded_attempts(session: Session, *, limit: int = BATCH) -> list[Attempt]:
    """Return attempts whose files may be removed."""
    return list(
        session.scalars(
            select(Attempt)
            .where(Attempt.purge_at <= func.now())
            .order_by(Attempt.purge_at)
            .limit(limit)
        )
    )


def deleted_assets(session: Session, *, keep_sec: float, limit: int = BATCH) -> list[Asset]:
    """Return tombstones whose source may be removed."""
    return list(
        session.scalars(
            select(Asset)
            .where(Asset.purged_at.is_(None), Asset.deleted_at < _ago(keep_sec))
            .order_by(Asset.deleted_at)
            .limit(limit)
        )
    )


def abandoned_uploads(session: Session, *, limit: int = BATCH) -> list[Upload]:
    """Return uploads that expired before they were completed."""
    return list(
        session.scalars(
            select(Upload)
            .where(Upload.completed_at.is_(None), Upload.expires_at < func.now())
            .order_by(Upload.expires_at)
            .limit(limit)
        )
    )


def unclaimed_uploads(session: Session, *, keep_sec: float, limit: int = BATCH) -> list[Upload]:
    """Return uploads that were completed ``keep_sec`` ago or earlier and have no video."""
    return list(
        session.scalars(
            select(Upload)
            .where(
                Upload.completed_at.is_not(None),
                Upload.claimed_at.is_(None),
                Upload.completed_at < _ago(keep_sec),
            )
            .order_by(Upload.completed_at)
            .limit(limit)
        )
    )


def prune_idempotency_keys(session: Session) -> int:
    """Delete a batch of keys that have expired; return their number."""
    return delete_batch(session, "idempotency_keys", "expires_at < now()")


def delete_batch(session: Session, table: str, condition: str, **parameters: object) -> int:
    """Delete at most ``KEPT_BATCH`` rows of a table that meet a condition; return their number.

    Args:
        table: A name in our code.
        condition: SQL of our code; its values are the parameters.
    """
    chosen = f"SELECT ctid FROM {table} WHERE {condition} LIMIT :batch"  # noqa: S608 - of our code
    deleted = session.execute(
        text(f"DELETE FROM {table} WHERE ctid IN ({chosen})"),  # noqa: S608 - of our code
        {**parameters, "batch": KEPT_BATCH},
    )
    assert isinstance(deleted, CursorResult)
    return deleted.rowcount


def make_event_partitions(session: Session) -> None:
    """Create the chronicle's partitions of the coming months."""
    session.execute(text("SELECT khronika_make_event_partitions(3)"))


def empty_deliveries(session: Session, *, days: int) -> int:
    """Remove headers, body and query of a batch of old settled callbacks; return their number.

    Index: ``webhook_deliveries_bodies``.
    """
    return _removed(session, "khronika_empty_deliveries", days)


def forget_addresses(session: Session, *, days: int) -> int:
    """Remove the addresses of a batch of old audit events; return their number.

    Index: ``audit_events_addresses``.
    """
    return _removed(session, "khronika_forget_addresses", days)


def prune_audit(session: Session, *, days: int) -> int:
    """Remove a batch of the oldest audit events and keep the chain's checkpoint.

    Index: ``audit_events_chain``.
    """
    return _removed(session, "khronika_prune_audit", days)


def _removed(session: Session, function: str, days: int) -> int:
    removed: int = session.scalar(
        text(f"SELECT {function}(:days, :batch)"), {"days": days, "batch": KEPT_BATCH}
    )
    return removed
