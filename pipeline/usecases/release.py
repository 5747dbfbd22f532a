"""Pay a debt: give up a job that nobody waits for any more."""

from uuid import UUID

from sqlalchemy import func

from pipeline import store
from pipeline.database import session_of
from pipeline.errors import TransientProviderError
from pipeline.models import Attempt
from pipeline.services import Outcome, Services
from pipeline.values import EventDraft


def release(services: Services, attempt_id: UUID) -> Outcome:
    """Cancel the attempt's job at its provider.

    Safe to run twice: a job that is gone counts as given up.
    """
    with session_of(services.engine) as session:
        attempt = session.get(Attempt, attempt_id)
    if attempt is None or attempt.release_requested_at is None or attempt.released_at is not None:
        return Outcome("nothing_owed")
    try:
        services.providers[attempt.provider].cancel(attempt.id, attempt.provider_job_id)
    except TransientProviderError as error:
        return Outcome(f"waiting: {error}")
    with session_of(services.engine) as session:
        store.update_attempt(session, attempt.id, released_at=func.now())
        store.record(
            session,
            attempt.asset_id,
            EventDraft(
                "released",
                "worker",
                {"attempt_id": str(attempt.id)},
                attempt=attempt.number,
                provider=attempt.provider,
                provider_job_id=attempt.provider_job_id,
            ),
        )
    return Outcome("released")
