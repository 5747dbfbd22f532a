"""The look-up of a job whose submission had no answer."""

from datetime import timedelta

from pipeline.content.gate import GateUnavailable
from pipeline.domain.backoff import poll_interval
from pipeline.domain.errors import AccountProblem, ProviderError
from pipeline.domain.values import AttemptOutcome, Phase, ProviderStatus, Setback, Submitted
from pipeline.lifecycle.accept import accept
from pipeline.lifecycle.account_refusal import note_accepted, note_refusal
from pipeline.lifecycle.apply_report import apply_report
from pipeline.lifecycle.claim import Claim
from pipeline.lifecycle.provider_report import ProviderReport
from pipeline.lifecycle.settle import settle
from pipeline.providers.base import Provider
from pipeline.records import store, transitions
from pipeline.runtime.database import session_of
from pipeline.services import Outcome, Services


def look_up(services: Services, provider: Provider, claim: Claim) -> Outcome | None:
    """Ask the provider whether the attempt's job exists.

    A job that is found is handled as if the submission had been answered. If none is found and the
    provider is idempotent by our id, the submission may be repeated. At any other provider, two
    look-ups must agree, the first of them later than the call's timeout plus the provider's margin.
    Then the attempt is closed as ``not_submitted``, and the next one may submit. No budget is
    spent.

    Returns:
        The result; None if the submission may be repeated.
    """
    try:
        found = provider.find(claim.job)
    except ProviderError as error:
        if isinstance(error, AccountProblem):
            outcome = note_refusal(services, claim.asset.id, claim.attempt.id, error, call="find")
            if not outcome.result.startswith("waiting"):
                return outcome
        return _ask_again(services, provider, claim, str(error), request_id=error.request_id)
    note_accepted(services, claim.attempt)
    if found is not None:
        return _take_found(services, claim, found)
    if provider.capabilities.idempotent_submit:
        return None
    return _absent(services, provider, claim)


def _take_found(services: Services, claim: Claim, found: ProviderStatus) -> Outcome:
    """Accept a job that was found, and apply its state if it has got further than waiting."""
    submitted = Submitted(found.provider_job_id, found.provider_request_id, found.vendor)
    accepted = accept(services, claim, claim.asset, submitted)
    if accepted.result != "submitted" or found.phase is Phase.WAITING:
        return accepted
    actor = f"provider:{claim.attempt.provider}"
    report = ProviderReport(claim.attempt.id, claim.asset.id, found, actor, None, lambda *_: None)
    try:
        applied = apply_report(services, report)
    except GateUnavailable:
        return accepted  # the next poll applies it
    return Outcome(applied.result, (*accepted.wakes, *applied.wakes))


def _absent(services: Services, provider: Provider, claim: Claim) -> Outcome:
    if claim.attempt.absent_at is None:
        return _ask_again(services, provider, claim, "absent", note_absence=True)
    setback = Setback("provider_failed", "the submission never arrived", retryable=True, held=True)
    with session_of(services.engine) as session:
        store.lock(session, claim.asset.id)
        store.update_attempt(session, claim.attempt.id, outcome=AttemptOutcome.NOT_SUBMITTED)
        settled = settle(
            session,
            claim.asset,
            setback,
            retry=services.settings.retry,
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
    request_id: str | None = None,
    note_absence: bool = False,
) -> Outcome:
    """Let the lease lapse later. The claim ended in order, so it does not count as a crash."""
    settle_sec = services.settings.providers.provider_timeout_sec + provider.capabilities.margin_sec
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
        change = transitions.looked_up(answer, request_id, lapse_sec=delay_sec)
        store.advance(session, claim.asset, change)
    return Outcome("unanswered")
