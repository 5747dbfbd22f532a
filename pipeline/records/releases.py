"""What a provider is known to have of ours, and what it is owed.

Every job that a provider accepted is current, published, or owed a release that a sweep pays. The
hard part is a call that is still on its way: its job can appear after somebody has looked for it.
So the debt for a job that has not been seen stays open until no call can be on its way any more,
and opens again should the job be seen all the same.

Whoever locks both locks the asset first and then its attempts, as ``store`` does; the other way
round two writers could wait for each other.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, case, exists, func, update
from sqlalchemy.orm import Session

from pipeline.domain.values import AttemptOutcome
from pipeline.records.models import Attempt, Output

NO_JOB = (
    AttemptOutcome.REFUSED,
    AttemptOutcome.NOT_SUBMITTED,
    AttemptOutcome.SOURCE_REFUSED,
)
"""Outcomes of attempts that made no job, as far as we knew."""


def owe_releases(
    session: Session, asset_id: UUID, *, but: UUID | None = None, published_too: bool = False
) -> list[UUID]:
    """Owe the provider of every job of this asset its release, but for what is published.

    An attempt that never came to call its provider, or whose job failed there, owes nothing. One
    that completed and was not published still occupies, and costs, its place at the provider.

    Args:
        but: The attempt to leave alone: the current or the published one.
        published_too: The asset is being deleted: nothing of it is to stay.

    Returns:
        The attempts that owe one since now.
    """
    whose = [Attempt.asset_id == asset_id]
    if but is not None:
        whose.append(Attempt.id != but)
    return _owe(session, *whose, published_too=published_too)


def owe_release(session: Session, attempt_id: UUID, *, published_too: bool = False) -> list[UUID]:
    """Owe one attempt's provider its release, on the same terms."""
    return _owe(session, Attempt.id == attempt_id, published_too=published_too)


def _owe(session: Session, *whose: ColumnElement[bool], published_too: bool) -> list[UUID]:
    owing = [
        *whose,
        Attempt.intended_at.is_not(None),
        Attempt.release_requested_at.is_(None),
        Attempt.outcome.is_(None)
        | Attempt.outcome.in_((AttemptOutcome.ACCEPTED, AttemptOutcome.COMPLETED)),
    ]
    if not published_too:
        owing.append(~exists().where(Output.attempt_id == Attempt.id))
    debts = (
        update(Attempt)
        .where(*owing)
        .values(release_requested_at=func.now())
        .returning(Attempt.id)
        .execution_options(synchronize_session=False)
    )
    return list(session.scalars(debts))


def record_job(
    session: Session, attempt_id: UUID, provider_job_id: str, request_id: str | None = None
) -> None:
    """Write down that the provider has the job, whatever we thought before.

    A release that was paid before the job had been seen found nothing to give up: it is owed anew.
    """
    _update(
        session,
        attempt_id,
        provider_job_id=provider_job_id,
        provider_request_id=func.coalesce(request_id, Attempt.provider_request_id),
        submitted_at=func.coalesce(Attempt.submitted_at, func.now()),
        outcome=case(
            (Attempt.outcome.is_(None) | Attempt.outcome.in_(NO_JOB), AttemptOutcome.ACCEPTED),
            else_=Attempt.outcome,
        ),
        released_at=_unless_unseen(),
    )


def record_unanswered(session: Session, attempt_id: UUID) -> None:
    """Write down that a call ended without an answer: from now on its job may appear."""
    _update(session, attempt_id, intended_at=func.now(), released_at=_unless_unseen())


def withdraw(session: Session, attempt_id: UUID) -> None:
    """Drop a debt that has not been paid: the job is wanted after all."""
    _update(
        session,
        attempt_id,
        release_requested_at=case(
            (Attempt.released_at.is_(None), None), else_=Attempt.release_requested_at
        ),
    )


def confirm(session: Session, attempt: Attempt) -> bool:
    """Write down that the release is paid; False when what was known has changed since.

    A job that was seen only after its provider had been asked to give it up is still there.
    """
    paid = session.execute(
        update(Attempt)
        .where(
            Attempt.id == attempt.id,
            Attempt.release_requested_at == attempt.release_requested_at,
            Attempt.released_at.is_(None),
            Attempt.intended_at.is_not_distinct_from(attempt.intended_at),
            Attempt.provider_job_id.is_not_distinct_from(attempt.provider_job_id),
        )
        .values(released_at=func.now())
        .execution_options(synchronize_session=False)
    )
    assert isinstance(paid, CursorResult)
    return paid.rowcount == 1


def may_still_arrive(attempt: Attempt, now: datetime, *, settle_sec: float) -> bool:
    """Whether a call may be on its way whose job has not been seen.

    Args:
        settle_sec: The call's timeout, and how long after it the provider may take.
    """
    if attempt.provider_job_id is not None or attempt.intended_at is None:
        return False
    return now - attempt.intended_at <= timedelta(seconds=settle_sec)


def _unless_unseen() -> ColumnElement[datetime | None]:
    return case((Attempt.provider_job_id.is_(None), None), else_=Attempt.released_at)


def _update(session: Session, attempt_id: UUID, **changes: object) -> None:
    session.execute(
        update(Attempt)
        .where(Attempt.id == attempt_id)
        .values(**changes)
        .execution_options(synchronize_session=False)
    )
