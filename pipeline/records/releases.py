"""Releases of jobs at providers: an attempt owes one until the provider has confirmed it.

Every job that a provider accepted is current, published, or has a release owed, and a sweep carries
the release out. The difficult case is a call that is still on its way: its job can appear after a
look-up. Therefore a release for a job that was never seen stays owed until no call can be on its
way any more. If the job is seen after that, its release is owed again.

A writer that locks both rows locks the asset before its attempts, as ``store`` does. In the
opposite order two writers could wait for each other.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, case, exists, func, select, update
from sqlalchemy.orm import Session

from pipeline.domain.values import AttemptOutcome
from pipeline.records.models import Attempt, Output

NO_JOB = (
    AttemptOutcome.DEFERRED,
    AttemptOutcome.REFUSED,
    AttemptOutcome.NOT_SUBMITTED,
    AttemptOutcome.SOURCE_REFUSED,
)
"""Outcomes of attempts that made no job, as far as we knew."""


def owe_releases(
    session: Session, asset_id: UUID, *, but: UUID | None = None, published_too: bool = False
) -> list[UUID]:
    """Owe the release of every job of this asset that is not published.

    An attempt that did not call its provider, or whose job failed there, owes none. A job that
    completed and was not published still occupies space at the provider, which may charge for it,
    and so does one that failed after its manifest was published.

    Args:
        but: The attempt to leave as it is: the current or the published one.
        published_too: The asset is being deleted, so published jobs are released too.

    Returns:
        The attempts whose release is owed from now on.
    """
    attempts = [Attempt.asset_id == asset_id]
    if but is not None:
        attempts.append(Attempt.id != but)
    return _owe(session, *attempts, published_too=published_too)


def owe_release(
    session: Session, attempt_id: UUID, *, published_too: bool = False, failed_too: bool = False
) -> list[UUID]:
    """Owe the release of one attempt's job, under the same conditions.

    Args:
        failed_too: A failed job still occupies space at a vendor that hosts.
    """
    attempt = Attempt.id == attempt_id
    return _owe(session, attempt, published_too=published_too, failed_too=failed_too)


def _owe(
    session: Session,
    *attempts: ColumnElement[bool],
    published_too: bool,
    failed_too: bool = False,
) -> list[UUID]:
    kept_at_provider = [AttemptOutcome.ACCEPTED, AttemptOutcome.COMPLETED]
    if failed_too:
        kept_at_provider.append(AttemptOutcome.FAILED)
    has_outputs = exists().where(Output.attempt_id == Attempt.id)
    owing = [
        *attempts,
        Attempt.intended_at.is_not(None),
        Attempt.release_requested_at.is_(None),
        Attempt.outcome.is_(None) | Attempt.outcome.in_(kept_at_provider) | has_outputs,
    ]
    if not published_too:
        owing.append(~has_outputs)
    owe = (
        update(Attempt)
        .where(*owing)
        .values(release_requested_at=func.now())
        .returning(Attempt.id)
        .execution_options(synchronize_session=False)
    )
    return list(session.scalars(owe))


def job_of_another(session: Session, attempt: Attempt, provider_job_id: str) -> bool:
    """Return true if another attempt at the same account has this job."""
    other = select(Attempt.id).where(
        Attempt.provider == attempt.provider,
        Attempt.provider_job_id == provider_job_id,
        Attempt.id != attempt.id,
    )
    return session.scalar(other.limit(1)) is not None


def record_job(
    session: Session, attempt_id: UUID, provider_job_id: str, request_id: str | None = None
) -> None:
    """Record that the provider has the job, whatever the row said before.

    A release that was confirmed before the job was seen had no job to end: it is owed again.
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
    """Record that a call ended without an answer: its job may appear from now on."""
    _update(session, attempt_id, intended_at=func.now(), released_at=_unless_unseen())


def withdraw(session: Session, attempt_id: UUID) -> None:
    """Withdraw a release that was not confirmed: the job is needed after all."""
    _update(
        session,
        attempt_id,
        release_requested_at=case(
            (Attempt.released_at.is_(None), None), else_=Attempt.release_requested_at
        ),
    )


def confirm(session: Session, attempt: Attempt) -> bool:
    """Record that the provider confirmed the release; False if the row changed since it was read.

    A job that was first seen after the request to end it still exists.
    """
    confirmed = session.execute(
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
    assert isinstance(confirmed, CursorResult)
    return confirmed.rowcount == 1


def may_still_arrive(attempt: Attempt, now: datetime, *, settle_sec: float) -> bool:
    """Return true if a call may be on its way whose job has not been seen.

    Args:
        settle_sec: The call's timeout plus the provider's margin after it.
    """
    if attempt.provider_job_id is not None or attempt.intended_at is None:
        return False
    return now - attempt.intended_at <= timedelta(seconds=settle_sec)


def owed_by_account(session: Session) -> Mapping[str, int]:
    """Count the releases that are owed, by account. Index: ``provider_attempts_debt``."""
    owed = (
        select(Attempt.provider, func.count().label("total"))
        .where(Attempt.release_requested_at.is_not(None), Attempt.released_at.is_(None))
        .group_by(Attempt.provider)
    )
    return {row.provider: row.total for row in session.execute(owed)}


def _unless_unseen() -> ColumnElement[datetime | None]:
    return case((Attempt.provider_job_id.is_(None), None), else_=Attempt.released_at)


def _update(session: Session, attempt_id: UUID, **changes: object) -> None:
    session.execute(
        update(Attempt)
        .where(Attempt.id == attempt_id)
        .values(**changes)
        .execution_options(synchronize_session=False)
    )
