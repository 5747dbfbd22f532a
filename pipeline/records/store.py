"""The writes on assets. ``advance`` is the only one that changes ``status``.

Every write is one UPDATE that is guarded in SQL by the status, the lease token and the generation
its writer read. Its event is written in the same transaction. The row lock of the UPDATE keeps
``seq`` free of gaps. The caller owns the transaction.
"""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    SQLColumnExpression,
    Update,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from pipeline.domain.audit_types import AuditType
from pipeline.domain.errors import IllegalTransition, StaleTransition
from pipeline.domain.events import EventDraft
from pipeline.domain.states import Status, is_allowed
from pipeline.domain.values import CRASHES
from pipeline.records.clock import from_now
from pipeline.records.models import Asset, Attempt, AuditEvent, Event, Output
from pipeline.records.transitions import Transition

KEEP_DISCARDED_SEC = 24 * 3600
"""Time for which files of outputs that are not published are kept."""


class LockedAsset(NamedTuple):
    """An asset's row under this transaction's lock, and the present instant of the database."""

    asset: Asset
    now: datetime


def lock(session: Session, asset_id: UUID, *, skip_locked: bool = False) -> LockedAsset | None:
    """Read an asset for writing; None if it does not exist, or is locked and locks are skipped."""
    query = (
        select(Asset, func.clock_timestamp())
        .where(Asset.id == asset_id)
        .with_for_update(of=Asset, skip_locked=skip_locked)
        .execution_options(populate_existing=True)
    )
    row = session.execute(query).one_or_none()
    return LockedAsset(*row) if row else None


def advance(session: Session, asset: Asset, change: Transition) -> Asset:
    """Write a transition: the only writer of ``status``.

    Args:
        asset: The row as its writer read it; its status, token and generation are the guard. If
            this session read it, the write refreshes it in place.
        change: Made by a constructor of ``transitions``.

    Returns:
        The row after the change.

    Raises:
        IllegalTransition: No such edge exists; nothing is written.
        StaleTransition: The row changed after it was read; nothing is written.
    """
    source, target = asset.status, change.target
    if target is not None and not is_allowed(source, target):
        raise IllegalTransition(f"{source} -> {target} is not an edge")
    values = dict(change.columns)
    if target is not None:
        values["status"] = target
    if change.event is not None:
        values["last_seq"] = Asset.last_seq + 1
    guarded = _returning(
        update(Asset)
        .where(
            Asset.id == asset.id,
            Asset.status == source,
            Asset.lease_token == asset.lease_token,
            Asset.generation == asset.generation,
            Asset.deleted_at.is_(None),
        )
        .values(**values)
    )
    written: Asset | None = session.scalars(guarded).one_or_none()
    if written is None:
        raise StaleTransition
    if change.event is not None:
        _append(session, written, change.event, source if target else None, target)
    return written


def _returning(statement: Update) -> Any:
    return statement.returning(Asset).execution_options(
        synchronize_session=False, populate_existing=True
    )


def record(session: Session, asset_id: UUID, event: EventDraft) -> None:
    """Append to the chronicle of an asset in any state, a deleted one included."""
    numbered = _returning(
        update(Asset).where(Asset.id == asset_id).values(last_seq=Asset.last_seq + 1)
    )
    _append(session, session.scalars(numbered).one(), event, None, None)


def _append(
    session: Session,
    asset: Asset,
    event: EventDraft,
    source: Status | None,
    target: Status | None,
) -> None:
    session.execute(
        insert(Event).values(
            asset_id=asset.id,
            seq=asset.last_seq,
            # The row lock orders these instants. The transaction's start time would not.
            created_at=func.clock_timestamp(),
            type=event.type,
            from_status=source,
            to_status=target,
            actor=event.actor,
            generation=asset.generation,
            attempt=event.attempt if event.attempt is not None else asset.attempt or None,
            provider=event.provider or asset.provider,
            provider_job_id=event.provider_job_id or asset.provider_job_id,
            provider_request_id=event.provider_request_id,
            provider_event_id=event.provider_event_id,
            detail=dict(event.detail),
        )
    )


def report_progress(
    session: Session,
    asset: Asset,
    percent: float,
    next_poll_at: SQLColumnExpression[datetime | None],
) -> None:
    """Record the progress of the current attempt. It never falls and writes no event."""
    session.execute(
        update(Asset)
        .where(
            Asset.id == asset.id,
            Asset.status == Status.PROCESSING,
            Asset.attempt_id == asset.attempt_id,
            Asset.deleted_at.is_(None),
        )
        .values(
            progress=func.greatest(func.coalesce(Asset.progress, 0), min(max(percent, 0), 100)),
            progress_at=func.now(),
            next_poll_at=next_poll_at,
        )
        .execution_options(synchronize_session=False)
    )


def is_held(session: Session, asset: Asset) -> bool:
    """Return true if an asset is still under the lease that its writer read."""
    held = select(Asset.id).where(
        Asset.id == asset.id,
        Asset.status == Status.PROCESSING,
        Asset.lease_token == asset.lease_token,
        Asset.deleted_at.is_(None),
    )
    return session.scalars(held).one_or_none() is not None


def update_attempt(session: Session, attempt_id: UUID, **changes: Any) -> None:
    """Write facts about an attempt, whatever the state of its asset."""
    session.execute(
        update(Attempt)
        .where(Attempt.id == attempt_id)
        .values(**changes)
        .execution_options(synchronize_session=False)
    )


def discard(session: Session, *attempts: ColumnElement[bool], published_too: bool = False) -> None:
    """Schedule the removal of these attempts' files after a day.

    The day is for viewers in the middle of a retired output, for a late success, and for a
    rollback. An attempt that failed after its manifest was published keeps its files: viewers have
    them until other outputs are published.

    Args:
        published_too: The asset is being deleted, so published files go too.
    """
    discarded = [*attempts, Attempt.purged_at.is_(None), Attempt.purge_at.is_(None)]
    if not published_too:
        published = exists().where(Output.attempt_id == Attempt.id, Output.retired_at.is_(None))
        discarded.append(~published)
    session.execute(
        update(Attempt)
        .where(*discarded)
        .values(purge_at=from_now(KEEP_DISCARDED_SEC))
        .execution_options(synchronize_session=False)
    )


def audit(session: Session, type_: AuditType, *, actor: str, **columns: Any) -> None:
    """Record an event that belongs to no asset. The commit chains it to the row before it."""
    session.execute(insert(AuditEvent).values(type=type_, actor=actor, **columns))


def crashes_before(session: Session, attempt: Attempt) -> int:
    """Return the number of machines that earlier jobs of an attempt's asset stopped."""
    counted = func.coalesce(func.sum(Attempt.vendor[CRASHES].as_integer()), 0)
    earlier = (Attempt.asset_id == attempt.asset_id, Attempt.number < attempt.number)
    return int(session.scalars(select(counted).where(*earlier)).one())


def runs_last_claim(session: Session, asset: Asset, max_claims: int) -> bool:
    """Return true if the last permitted claim of another asset is under way.

    Callers of this function go one after the other, until they commit.
    """
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext("khronika last claims"))))
    other = select(Asset.id).where(
        Asset.id != asset.id,
        Asset.status == Status.PROCESSING,
        Asset.deleted_at.is_(None),
        Asset.claims >= max_claims,
        Asset.lease_expires_at > func.clock_timestamp(),
    )
    return session.scalars(other.limit(1)).one_or_none() is not None
