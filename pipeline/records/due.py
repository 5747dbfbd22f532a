"""What is due: one query a sweep, each served by its own partial index, in bounded batches.

``SKIP LOCKED`` lets any number of sweepers run: they share the work instead of repeating it.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, text, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from pipeline.domain.states import LIVE, WAITING, Status
from pipeline.domain.values import DeliveryStatus
from pipeline.records.models import Asset, Attempt, Delivery, Upload

BATCH = 200
"""Rows a sweep takes at once: a few milliseconds of locks, whatever the backlog."""


def waiting_assets(session: Session, *, grace_sec: float) -> list[UUID]:
    """Assets whose next attempt is due and whose last wake, if any, came to nothing.

    They are marked as woken, so that a backlog is not published anew with every sweep.
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
    """Assets whose worker did not come back."""
    processing = (Asset.status == Status.PROCESSING, Asset.deleted_at.is_(None))
    return _oldest(session, Asset.id, Asset.lease_expires_at, *processing)


def late_callbacks(session: Session) -> list[UUID]:
    """Assets whose provider is to be asked."""
    processing = (Asset.status == Status.PROCESSING, Asset.deleted_at.is_(None))
    return _oldest(session, Asset.id, Asset.next_poll_at, *processing)


def past_deadlines(session: Session) -> list[UUID]:
    """Assets that have been in a live state for too long."""
    live = (Asset.status.in_(LIVE), Asset.deleted_at.is_(None))
    return _oldest(session, Asset.id, Asset.deadline_at, *live)


def unread_deliveries(session: Session, *, grace_sec: float) -> list[UUID]:
    """Callbacks in the inbox that nobody has come for."""
    unread = Delivery.status == DeliveryStatus.NEW
    return _oldest(session, Delivery.id, Delivery.next_try_at, unread, grace_sec=grace_sec)


def unpaid_releases(session: Session) -> list[UUID]:
    """Attempts whose provider is owed a release."""
    unpaid = Attempt.released_at.is_(None)
    return _oldest(session, Attempt.id, Attempt.release_requested_at, unpaid)


def _oldest(
    session: Session,
    key: InstrumentedAttribute[UUID],
    instant: InstrumentedAttribute[datetime | None],
    *conditions: ColumnElement[bool],
    grace_sec: float = 0,
) -> list[UUID]:
    """The rows whose instant has passed by the grace, the longest overdue first."""
    due = select(key).where(*conditions, instant <= _ago(grace_sec)).order_by(instant).limit(BATCH)
    return list(session.scalars(due))


def _ago(seconds: float) -> ColumnElement[datetime]:
    """An instant gone by. ``now()`` is one value for a statement, so an index can answer it."""
    return func.now() - func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def discarded_attempts(session: Session, *, limit: int = BATCH) -> list[Attempt]:
    """Attempts whose files may go."""
    return list(
        session.scalars(
            select(Attempt)
            .where(Attempt.purge_at <= func.now())
            .order_by(Attempt.purge_at)
            .limit(limit)
        )
    )


def deleted_assets(session: Session, *, keep_sec: float, limit: int = BATCH) -> list[Asset]:
    """Tombstones whose source may go."""
    return list(
        session.scalars(
            select(Asset)
            .where(Asset.purged_at.is_(None), Asset.deleted_at < _ago(keep_sec))
            .order_by(Asset.deleted_at)
            .limit(limit)
        )
    )


def abandoned_uploads(session: Session, *, limit: int = BATCH) -> list[Upload]:
    """Tickets that expired before they were completed."""
    return list(
        session.scalars(
            select(Upload)
            .where(Upload.completed_at.is_(None), Upload.expires_at < func.now())
            .order_by(Upload.expires_at)
            .limit(limit)
        )
    )


def unclaimed_uploads(session: Session, *, keep_sec: float, limit: int = BATCH) -> list[Upload]:
    """Uploads that were completed long enough ago, and that no video was made of."""
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


def prune_idempotency_keys(session: Session) -> None:
    """Forget keys that no longer replay."""
    session.execute(
        text("""
            DELETE FROM idempotency_keys WHERE ctid IN (
                SELECT ctid FROM idempotency_keys WHERE expires_at < now() LIMIT 1000)
        """)
    )


def make_event_partitions(session: Session) -> None:
    """Make the chronicle's partitions of the coming months."""
    session.execute(text("SELECT khronika_make_event_partitions(3)"))
