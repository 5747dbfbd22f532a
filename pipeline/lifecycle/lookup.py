"""After a submission whose outcome is unknown: look the job up, never send it again blindly."""

from datetime import timedelta

from pipeline.domain.backoff import poll_interval
from pipeline.domain.errors import TransientProviderError
from pipeline.domain.values import EventDraft, Submitted
from pipeline.lifecycle.accept import accept
from pipeline.lifecycle.claim import Claim
from pipeline.lifecycle.settle import Setback, settle
from pipeline.providers.base import Provider
from pipeline.records import store
from pipeline.runtime.crash import Boundary, crash_point
from pipeline.runtime.database import session_of
from pipeline.services import Outcome, Services


def look_up(services: Services, provider: Provider, claim: Claim) -> Outcome | None:
    """Ask the provider whether the attempt's job exists.

    Found: it goes on as if the submission had been answered. Absent: the same request again does
    no harm where the provider knows it by our id. Elsewhere absence is believed when two look-ups
    agree, the first of them later than the call's timeout plus the provider's margin; then the
    attempt is closed as ``not_submitted`` and the next one may submit. No budget is spent.

    Returns:
        What was done; None when the submission may be repeated.
    """
    try:
        found = provider.find(claim.attempt.id)
    except TransientProviderError as error:
        return _ask_again(services, provider, claim, str(error))
    crash_point(Boundary.LOOKUP_ANSWERED)
    if found is not None:
        submitted = Submitted(found.provider_job_id, found.provider_request_id)
        return accept(services, claim, claim.asset, submitted)
    if provider.capabilities.idempotent_submit:
        return None
    return _absent(services, provider, claim)


def _absent(services: Services, provider: Provider, claim: Claim) -> Outcome:
    if claim.attempt.absent_at is None:
        return _ask_again(services, provider, claim, "absent", note_absence=True)
    setback = Setback("provider_failed", "the submission never arrived", retryable=True, held=True)
    with session_of(services.engine) as session:
        store.lock(session, claim.asset.id)
        store.update_attempt(session, claim.attempt.id, outcome="not_submitted")
        settled = settle(
            session,
            claim.asset,
            setback,
            settings=services.settings,
            rng=services.rng,
            actor="worker",
        )
    return Outcome(settled.status.value)


def _ask_again(
    services: Services,
    provider: Provider,
    claim: Claim,
    answer: str,
    *,
    note_absence: bool = False,
) -> Outcome:
    """Let the lease lapse later. The claim ended in order and does not count as a crash."""
    settle_sec = services.settings.provider_timeout_sec + provider.capabilities.margin_sec
    with session_of(services.engine) as session:
        locked = store.lock(session, claim.asset.id)
        intended_at = claim.attempt.intended_at
        assert locked is not None
        assert intended_at is not None
        waited = locked.now - intended_at
        if note_absence and waited > timedelta(seconds=settle_sec):
            store.update_attempt(session, claim.attempt.id, absent_at=locked.now)
        delay_sec = max(
            provider.capabilities.margin_sec, poll_interval(waited.total_seconds(), services.rng)
        )
        store.amend(
            session,
            claim.asset,
            EventDraft("looked_up", "worker", {"answer": answer}),
            claims=0,
            lease_expires_at=store.from_now(delay_sec),
        )
    return Outcome("unanswered")
