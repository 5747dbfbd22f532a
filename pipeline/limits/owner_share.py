"""The share of an owner in the reading of sources, which takes as long as the slowest origin.

One owner's slow sources would occupy every process that submits videos, and everybody else's videos
would wait behind them.
"""

from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from pipeline.domain.states import WAITING, Status
from pipeline.records.clock import interval
from pipeline.records.models import Asset, Attempt


def has_share_left(session: Session, owner_id: str, most: int) -> bool:
    """Return true if an owner may have one more source read, until the transaction ends."""
    session.execute(
        select(func.pg_advisory_xact_lock(func.hashtextextended(f"sources of {owner_id}", 0)))
    )
    return count_being_read(session, owner_id) < most


def count_being_read(session: Session, owner_id: str) -> int:
    """Return how many sources of an owner are read now.

    Index: ``video_assets_lease``, which has the videos under a lease alone.
    """
    being_read = (
        select(func.count())
        .select_from(Asset)
        .join(Attempt, Attempt.id == Asset.attempt_id)
        .where(
            Asset.owner_id == owner_id,
            Asset.status == Status.PROCESSING,
            Asset.deleted_at.is_(None),
            Asset.lease_expires_at > func.now(),
            Attempt.intended_at.is_(None),
        )
    )
    return session.scalars(being_read).one()


def count_slower(session: Session, attempt: Attempt, *, slow_sec: float) -> int:
    """Return how many sources of all owners are read for long, and for longer than this attempt's.

    Index: ``video_assets_lease``, which has the videos under a lease alone.
    """
    slower = (
        select(func.count())
        .select_from(Asset)
        .join(Attempt, Attempt.id == Asset.attempt_id)
        .where(
            Asset.status == Status.PROCESSING,
            Asset.deleted_at.is_(None),
            Asset.lease_expires_at > func.now(),
            Attempt.intended_at.is_(None),
            Attempt.created_at < func.now() - interval(slow_sec),
            tuple_(Attempt.created_at, Attempt.id) < (attempt.created_at, attempt.id),
        )
    )
    return session.scalars(slower).one()


def next_of_owner(session: Session, owner_id: str) -> UUID | None:
    """Return the owner's video that is due for the longest time; None if none is.

    Index: ``video_assets_owner_due``.
    """
    due = (
        select(Asset.id)
        .where(
            Asset.owner_id == owner_id,
            Asset.status.in_(WAITING),
            Asset.deleted_at.is_(None),
            Asset.next_attempt_at <= func.now(),
        )
        .order_by(Asset.next_attempt_at)
        .limit(1)
    )
    return session.scalars(due).one_or_none()
