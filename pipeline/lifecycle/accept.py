"""Write down that a provider has the job, and let the lease go."""

from sqlalchemy.orm import Session

from pipeline.config.task_names import wake_release
from pipeline.domain.backoff import poll_interval
from pipeline.domain.errors import StaleTransition
from pipeline.domain.states import Status
from pipeline.domain.values import EventDraft, Submitted
from pipeline.lifecycle.claim import Claim
from pipeline.limits import circuit_breaker
from pipeline.records import releases, store
from pipeline.records.models import Asset
from pipeline.runtime.database import session_of
from pipeline.runtime.wakes import Wake
from pipeline.services import Outcome, Services


def accept(services: Services, claim: Claim, asset: Asset, submitted: Submitted) -> Outcome:
    """Record the provider's word: on the attempt in any case, on the asset if it is still ours."""
    with session_of(services.engine) as session:
        locked = store.lock(session, asset.id)
        assert locked is not None
        releases.note_job(
            session, claim.attempt.id, submitted.provider_job_id, submitted.provider_request_id
        )
        circuit_breaker.note_answer(session, claim.asset.provider)
        try:
            _let_go(services, session, claim, asset, submitted)
        except StaleTransition:
            return Outcome("moved_on", _release_if_abandoned(session, locked.asset, claim))
    return Outcome("submitted")


def _let_go(
    services: Services, session: Session, claim: Claim, asset: Asset, submitted: Submitted
) -> None:
    first_poll_sec = poll_interval(0, services.rng, least_sec=services.settings.poll_least_sec)
    store.amend(
        session,
        asset,
        EventDraft(
            "submitted",
            "worker",
            {"attempt_id": str(claim.attempt.id)},
            provider_job_id=submitted.provider_job_id,
            provider_request_id=submitted.provider_request_id,
        ),
        provider_job_id=submitted.provider_job_id,
        lease_expires_at=None,
        next_poll_at=store.from_now(first_poll_sec),
    )


def _release_if_abandoned(session: Session, now: Asset, claim: Claim) -> tuple[Wake, ...]:
    """Owe the job its release: the asset moved on while the provider was answering.

    Unless the job is what the asset now waits for, or what it has already published.
    """
    wanted = (
        now.deleted_at is None
        and now.attempt_id == claim.attempt.id
        and now.status in {Status.PROCESSING, Status.COMPLETED}
    )
    if wanted:
        return ()
    deleted = now.deleted_at is not None
    owed = releases.owe_release(session, claim.attempt.id, published_too=deleted)
    return tuple(map(wake_release, owed))
