"""The acceptance of a job by its provider: it is recorded, and the lease is released."""

from sqlalchemy.orm import Session

from pipeline.config.task_names import wake_release
from pipeline.domain.backoff import poll_interval
from pipeline.domain.errors import StaleTransition
from pipeline.domain.states import Status
from pipeline.domain.values import AttemptOutcome, Setback, Submitted
from pipeline.lifecycle.claim import Claim
from pipeline.lifecycle.settle import settle
from pipeline.limits import circuit_breaker
from pipeline.records import releases, store, transitions, vendor_facts
from pipeline.records.models import Asset
from pipeline.runtime.database import session_of
from pipeline.runtime.wakes import Wake
from pipeline.services import Outcome, Services


def accept(services: Services, claim: Claim, asset: Asset, submitted: Submitted) -> Outcome:
    """Record an accepted job: on the attempt always, on the asset if this claim still holds it."""
    with session_of(services.engine) as session:
        locked = store.lock(session, asset.id)
        assert locked is not None
        if releases.job_of_another(session, claim.attempt, submitted.provider_job_id):
            return _end_shared(services, session, claim, asset, submitted)
        releases.record_job(
            session, claim.attempt.id, submitted.provider_job_id, submitted.provider_request_id
        )
        vendor_facts.merge_facts(session, claim.attempt.id, submitted.vendor)
        circuit_breaker.record_answer(session, claim.attempt.provider)
        try:
            _let_go(services, session, claim, asset, submitted)
        except StaleTransition:
            return Outcome("moved_on", _release_if_abandoned(session, locked.asset, claim))
    return Outcome("submitted")


def _end_shared(
    services: Services, session: Session, claim: Claim, asset: Asset, submitted: Submitted
) -> Outcome:
    """Hold an asset whose provider answered with the job of another attempt.

    Some vendors merge jobs with equal sources. The other attempt keeps the job; the next one of
    this asset waits until that job has ended.
    """
    setback = Setback("job_shared", f"job {submitted.provider_job_id}", retryable=True, held=True)
    store.update_attempt(
        session,
        claim.attempt.id,
        outcome=AttemptOutcome.DEFERRED,
        error_code=setback.code,
        error_message=setback.message,
    )
    settled = settle(
        session,
        asset,
        setback,
        retry=services.settings.retry,
        rng=services.rng,
        actor="worker",
    )
    return Outcome(settled.status.value)


def _let_go(
    services: Services, session: Session, claim: Claim, asset: Asset, submitted: Submitted
) -> None:
    least_sec = services.poll_least_sec(claim.attempt.provider)
    first_poll_sec = poll_interval(0, services.rng, least_sec=least_sec)
    change = transitions.submitted(claim.attempt.id, submitted, first_poll_sec=first_poll_sec)
    store.advance(session, asset, change)


def _release_if_abandoned(session: Session, current: Asset, claim: Claim) -> tuple[Wake, ...]:
    """Owe the release of a job whose asset moved on while the provider was answering.

    It is not owed if the asset waits for the job, or has published its outputs.
    """
    wanted = (
        current.deleted_at is None
        and current.attempt_id == claim.attempt.id
        and current.status in {Status.PROCESSING, Status.COMPLETED}
    )
    if wanted:
        return ()
    deleted = current.deleted_at is not None
    owed = releases.owe_release(session, claim.attempt.id, published_too=deleted)
    return tuple(map(wake_release, owed))
