"""Write down that a provider has the job, and let the lease go."""

from sqlalchemy import func

from pipeline import store
from pipeline.backoff import poll_interval
from pipeline.database import session_of
from pipeline.errors import StaleTransition
from pipeline.models import Asset, Attempt
from pipeline.services import Outcome, Services
from pipeline.states import Status
from pipeline.usecases.claim import Claim
from pipeline.values import EventDraft, Submitted, Wake, wake_release


def accept(services: Services, claim: Claim, asset: Asset, submitted: Submitted) -> Outcome:
    """Record the provider's word: on the attempt in any case, on the asset if it is still ours."""
    with session_of(services.engine) as session:
        store.update_attempt(
            session,
            claim.attempt.id,
            provider_job_id=submitted.provider_job_id,
            provider_request_id=submitted.provider_request_id,
            submitted_at=func.now(),
            outcome=func.coalesce(Attempt.outcome, "accepted"),
        )
    try:
        with session_of(services.engine) as session:
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
                next_poll_at=store.from_now(_first_poll_sec(services)),
            )
    except StaleTransition:
        return Outcome("moved_on", _release_if_abandoned(services, claim))
    return Outcome("submitted")


def _first_poll_sec(services: Services) -> float:
    return poll_interval(0, services.rng, least_sec=services.settings.poll_least_sec)


def _release_if_abandoned(services: Services, claim: Claim) -> tuple[Wake, ...]:
    """Owe the job its release: the asset moved on while the provider was answering.

    Unless the job is what the asset now waits for, or what it has already published.
    """
    with session_of(services.engine) as session:
        locked = store.lock(session, claim.asset.id)
        if locked is None or _still_wants(locked.asset, claim):
            return ()
        current = locked.asset.attempt_id
        keep = current if current != claim.attempt.id else None
        return tuple(map(wake_release, store.owe_releases(session, claim.asset.id, but=keep)))


def _still_wants(asset: Asset, claim: Claim) -> bool:
    return (
        asset.deleted_at is None
        and asset.attempt_id == claim.attempt.id
        and asset.status in {Status.PROCESSING, Status.COMPLETED}
    )
