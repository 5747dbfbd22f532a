"""Purges that are owed after a withdrawal: files in storage, and copies in a CDN.

A trigger writes a row in the transaction that deletes, cancels, restricts or replaces a video. The
row stays due until its purge has succeeded; the wait between two tries is bounded, their number is
not.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from pipeline.records.clock import from_now
from pipeline.records.due import BATCH, delete_batch
from pipeline.records.models import CachePurge

HOLD_SEC = 120.0
"""Time for which a try keeps other workers away: longer than a task may take."""
FIRST_WAIT_SEC = 2.0
LONGEST_WAIT_SEC = 300.0
KEPT_SEC = 7 * 24 * 3600.0
"""Time for which a purge that was paid is remembered."""
ERROR_CHARS = 200


class OwedPurges(NamedTuple):
    """Purges that are owed, and the age of the oldest in seconds."""

    total: int
    oldest_age_sec: float


def due_purges(session: Session) -> list[UUID]:
    """Return videos with a purge that is due. Index: ``cache_purges_due``."""
    due = (
        select(CachePurge.asset_id)
        .where(CachePurge.done_at.is_(None), CachePurge.next_try_at <= func.now())
        .order_by(CachePurge.next_try_at)
        .limit(BATCH)
    )
    return list(dict.fromkeys(session.scalars(due)))


def take_purges(session: Session, asset_id: UUID) -> Sequence[CachePurge]:
    """Take the due purges of a video for one try. Index: ``cache_purges_of_asset``."""
    due = (
        select(CachePurge.id)
        .where(
            CachePurge.asset_id == asset_id,
            CachePurge.done_at.is_(None),
            CachePurge.next_try_at <= func.now(),
        )
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    taken = (
        update(CachePurge)
        .where(CachePurge.id.in_(due.scalar_subquery()))
        .values(tries=CachePurge.tries + 1, next_try_at=from_now(HOLD_SEC))
        .returning(CachePurge)
        .execution_options(synchronize_session=False)
    )
    return session.scalars(taken).all()


def settle_purges(session: Session, purges: Sequence[CachePurge]) -> None:
    """Record that these purges succeeded."""
    session.execute(
        update(CachePurge)
        .where(CachePurge.id.in_([purge.id for purge in purges]))
        .values(done_at=func.now(), next_try_at=None, error=None)
        .execution_options(synchronize_session=False)
    )


def defer_purges(session: Session, purges: Sequence[CachePurge], error: str) -> None:
    """Record that a try of these purges failed; each is due again after its wait."""
    for purge in purges:
        session.execute(
            update(CachePurge)
            .where(CachePurge.id == purge.id)
            .values(error=error[:ERROR_CHARS], next_try_at=from_now(wait_sec(purge.tries)))
            .execution_options(synchronize_session=False)
        )


def wait_sec(tries: int) -> float:
    """Return the wait after so many tries, which doubles up to a bound."""
    return min(LONGEST_WAIT_SEC, FIRST_WAIT_SEC * 2.0 ** min(tries - 1, 30))


def owed_purges(session: Session) -> OwedPurges:
    """Count the purges that are owed. Index: ``cache_purges_due``."""
    age = func.extract("epoch", func.now() - func.min(CachePurge.created_at))
    total, oldest = session.execute(
        select(func.count(), age).where(CachePurge.done_at.is_(None))
    ).one()
    return OwedPurges(total, float(oldest or 0.0))


def prune_purges(session: Session) -> int:
    """Delete a batch of purges that were paid long ago; return their number.

    Index: ``cache_purges_done``.
    """
    paid = "done_at < now() - make_interval(secs => :kept_sec)"
    return delete_batch(session, "cache_purges", paid, kept_sec=KEPT_SEC)
