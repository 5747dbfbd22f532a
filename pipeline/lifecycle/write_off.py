"""The write-off of releases that are owed at an account which is not configured any more."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipeline.domain.errors import Conflict
from pipeline.domain.events import EventDraft, EventType
from pipeline.records import releases, store
from pipeline.records.due import BATCH
from pipeline.records.models import Attempt


def refuse_configured(configured: Collection[str], account: str) -> None:
    """Refuse a write-off at an account that is configured: the sweep carries its releases out.

    Raises:
        Conflict: ``account_configured``.
    """
    if account in configured:
        raise Conflict(
            "account_configured",
            f"The account {account!r} is configured, so its releases are carried out.",
        )


def write_off_batch(session: Session, account: str, *, actor: str) -> int:
    """Give up a batch of releases, and say so in each chronicle; return their number.

    The jobs may go on at the vendor, who may charge for them. Safe to run again until it returns 0.
    """
    owed = session.execute(
        select(Attempt.id, Attempt.asset_id)
        .where(
            Attempt.provider == account,
            Attempt.release_requested_at.is_not(None),
            Attempt.released_at.is_(None),
        )
        .order_by(Attempt.release_requested_at)
        .limit(BATCH)
    ).all()
    # In the order of the ids, as no other writer locks several assets.
    for attempt_id, asset_id in sorted(owed, key=lambda each: each.asset_id):
        _write_off(session, attempt_id, asset_id, actor)
    return len(owed)


def _write_off(session: Session, attempt_id: UUID, asset_id: UUID, actor: str) -> None:
    store.lock(session, asset_id)
    attempt = session.get_one(Attempt, attempt_id, populate_existing=True)
    if not releases.confirm(session, attempt):
        return
    store.record(
        session,
        asset_id,
        EventDraft(
            EventType.WRITTEN_OFF,
            actor,
            {"attempt_id": str(attempt_id)},
            attempt=attempt.number,
            provider=attempt.provider,
            provider_job_id=attempt.provider_job_id,
        ),
    )
