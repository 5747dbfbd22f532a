"""The release of a job that is no longer needed, at its provider."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pipeline.domain.errors import ProviderError
from pipeline.domain.events import EventDraft, EventType
from pipeline.lifecycle.job_reference import job_of
from pipeline.records import releases, store
from pipeline.records.models import Attempt
from pipeline.runtime.database import session_of
from pipeline.services import Outcome, Services


def release(services: Services, attempt_id: UUID) -> Outcome:
    """Cancel the attempt's job at its provider.

    Safe to run twice: a job that is gone counts as given up. A job that has not been seen is given
    up at once, and again when no call can be on its way any more; only the second time pays.
    """
    with session_of(services.engine) as session:
        attempt = session.get(Attempt, attempt_id)
        now = session.scalars(select(func.clock_timestamp())).one()
    if attempt is None or attempt.release_requested_at is None or attempt.released_at is not None:
        return Outcome("nothing_owed")
    provider = services.providers.get(attempt.provider)
    if provider is None:
        return Outcome(f"waiting: account {attempt.provider} is not configured")
    try:
        provider.cancel(job_of(attempt))
    except ProviderError as error:
        return Outcome(f"waiting: {error.traceable}")
    settle_sec = services.settings.providers.provider_timeout_sec + provider.capabilities.margin_sec
    if releases.may_still_arrive(attempt, now, settle_sec=settle_sec):
        return Outcome("waiting: its submission may be on its way")
    with session_of(services.engine) as session:
        store.lock(session, attempt.asset_id)
        if not releases.confirm(session, attempt):
            return Outcome("waiting: its job has just been seen")
        _record(session, attempt)
    return Outcome("released")


def _record(session: Session, attempt: Attempt) -> None:
    store.record(
        session,
        attempt.asset_id,
        EventDraft(
            EventType.RELEASED,
            "worker",
            {"attempt_id": str(attempt.id)},
            attempt=attempt.number,
            provider=attempt.provider,
            provider_job_id=attempt.provider_job_id,
        ),
    )
