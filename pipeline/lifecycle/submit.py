"""The submission of an asset: claim, verify, commit the intent, call the provider, keep the answer.

No transaction is open while the source is read or the provider is called. If the worker dies, the
row tells how far it came, and the next claim goes on from there.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.orm import Session

from pipeline.config.task_names import wake_release
from pipeline.content.object_urls import output_prefix, poster_prefix
from pipeline.content.source import SourceRefused, measure, url_for_provider
from pipeline.domain.backoff import poll_interval
from pipeline.domain.errors import (
    LimitReached,
    ProviderError,
    StaleTransition,
    TerminalProviderError,
    TransientProviderError,
    UnknownOutcome,
)
from pipeline.domain.failures import known_code
from pipeline.domain.states import Status
from pipeline.domain.values import AttemptOutcome, Playback, Setback, SubmitRequest, Submitted
from pipeline.lifecycle.claim import Claim, NoClaim, claim_asset
from pipeline.lifecycle.settle import settle
from pipeline.limits import circuit_breaker, owner_quotas, spend_guard
from pipeline.media.source_info import Measured
from pipeline.providers.base import Provider
from pipeline.records import releases, store, transitions
from pipeline.records.models import Asset
from pipeline.runtime.database import session_of
from pipeline.runtime.wakes import Wake
from pipeline.services import Outcome, Services

PROVIDER_FAILED = "provider_failed"
"""The code of an adapter whose provider was unreachable, or whose answer was unreadable."""

DURATION_DISAGREES_SEC = 0.5
"""Declared durations are rounded; a smaller difference is no disagreement."""


def submit(services: Services, asset_id: UUID) -> Outcome:
    """Submit one due asset to its provider, or write the transition that its failure calls for."""
    with session_of(services.engine) as session:
        claim = claim_asset(services, session, asset_id)
    if isinstance(claim, NoClaim):
        return Outcome(claim.reason, claim.wakes)
    try:
        return _submit_claimed(services, claim)
    except StaleTransition:
        return Outcome("stale")


def _submit_claimed(services: Services, claim: Claim) -> Outcome:
    provider = services.providers[claim.asset.provider]
    if claim.attempt.intended_at is not None:
        found = look_up(services, provider, claim)
        if found is not None:
            return found
    if claim.asset.playback == Playback.SIGNED and not provider.capabilities.protects_outputs:
        setback = Setback("playback_unsupported", f"by {provider.name}", retryable=False)
        return _end_unasked(services, claim, setback, outcome=AttemptOutcome.REFUSED)
    try:
        measured = measure(services, claim.source, pinned_etag=claim.asset.source_etag)
    except SourceRefused as error:
        setback = Setback(known_code(error.code), str(error), retryable=error.transient)
        return _end_unasked(services, claim, setback, outcome=AttemptOutcome.SOURCE_REFUSED)
    try:
        asset = _intend(services, claim, measured)
    except LimitReached as error:
        setback = Setback(known_code(error.code), str(error), retryable=False)
        return _end_unasked(services, claim, setback, outcome=AttemptOutcome.SOURCE_REFUSED)
    return _call(services, provider, claim, asset)


def _intend(services: Services, claim: Claim, measured: Measured) -> Asset:
    """Commit the measurements of the source and the intent to call the provider.

    Raises:
        LimitReached: The source exceeds the owner's quota of the day; nothing is written.
    """
    with session_of(services.engine) as session:
        asset = store.advance(session, claim.asset, transitions.source_verified(measured))
        owner_quotas.book_measured(session, services.settings.owner_limits, claim.asset, measured)
        mismatch = declared_mismatch(asset.declared, measured)
        if mismatch:
            asset = store.advance(session, asset, transitions.metadata_mismatch(mismatch))
        store.update_attempt(session, claim.attempt.id, intended_at=func.now())
        spend_guard.book_measured(session, claim.attempt.id, measured.info.duration_sec)
    return asset


def declared_mismatch(declared: dict[str, Any], measured: Measured) -> dict[str, Any]:
    """Return the fields in which declaration and measurement disagree, with both figures."""
    facts: dict[str, float] = {
        "duration_sec": measured.info.duration_sec,
        "width": measured.info.width,
        "height": measured.info.height,
        "size_bytes": measured.size_bytes,
    }
    slack = {"duration_sec": DURATION_DISAGREES_SEC}
    return {
        name: {"declared": declared[name], "measured": fact}
        for name, fact in facts.items()
        if declared.get(name) is not None and abs(declared[name] - fact) > slack.get(name, 0)
    }


def _call(services: Services, provider: Provider, claim: Claim, asset: Asset) -> Outcome:
    request = SubmitRequest(
        asset_id=asset.id,
        attempt_id=claim.attempt.id,
        source_url=url_for_provider(services, claim.source, claim.attempt),
        output_prefix=output_prefix(asset.id, claim.attempt.id, Playback(asset.playback)),
        poster_prefix=poster_prefix(asset.id, claim.attempt.id, Playback(asset.playback)),
        poster_time_sec=asset.poster_time_sec,
        title=asset.title,
        source_size_bytes=asset.source_size_bytes,
        max_profile=services.settings.providers.max_profile,
    )
    try:
        submitted = provider.submit(request)
    except UnknownOutcome as error:
        return _note_unknown(services, provider, claim, asset, error)
    except ProviderError as error:
        _note_refusal(services, provider, error)
        return _end_attempt(services, claim, asset, _setback(error), outcome=AttemptOutcome.REFUSED)
    return accept(services, claim, asset, submitted)


def _note_refusal(services: Services, provider: Provider, error: ProviderError) -> None:
    """Count a refusal as an answer for the breaker, but ``provider_failed`` as silence."""
    with session_of(services.engine) as session:
        if isinstance(error, TransientProviderError) and error.code == PROVIDER_FAILED:
            circuit_breaker.record_failure(session, provider.name, services.settings.breaker_limits)
        else:
            circuit_breaker.record_answer(session, provider.name)


def _setback(error: ProviderError) -> Setback:
    transient = isinstance(error, TransientProviderError)
    assert transient or isinstance(error, TerminalProviderError)
    return Setback(
        known_code(error.code),
        str(error),
        retryable=transient,
        held=isinstance(error, TransientProviderError) and error.held,
        retry_after_sec=(
            error.retry_after_sec if isinstance(error, TransientProviderError) else None
        ),
        context={"provider_request_id": error.request_id},
    )


def _end_unasked(
    services: Services, claim: Claim, setback: Setback, *, outcome: AttemptOutcome
) -> Outcome:
    """End an attempt before its provider was called, and let the breaker test another."""
    with session_of(services.engine) as session:
        circuit_breaker.end_probe(session, claim.asset.provider)
    return _end_attempt(services, claim, claim.asset, setback, outcome=outcome)


def _end_attempt(
    services: Services, claim: Claim, asset: Asset, setback: Setback, *, outcome: AttemptOutcome
) -> Outcome:
    """Keep the answer on the attempt, and close it if this claim still holds the asset."""
    attempt_id = claim.attempt.id
    with session_of(services.engine) as session:
        store.lock(session, asset.id)
        store.update_attempt(
            session,
            attempt_id,
            provider_request_id=setback.context.get("provider_request_id"),
            error_code=setback.code,
            error_message=setback.message,
        )
        try:
            settled = settle(
                session,
                asset,
                setback,
                retry=services.settings.retry,
                rng=services.rng,
                actor="worker",
            )
        except StaleTransition:
            return Outcome("stale")
        # This call made no job. An earlier call of the same attempt may have made one, or still
        # may.
        owed = releases.owe_release(session, attempt_id) if claim.attempt.intended_at else []
        if claim.attempt.intended_at is None:
            spend_guard.give_back(session, attempt_id)
        store.update_attempt(session, attempt_id, outcome=outcome)
    return Outcome(settled.status.value, tuple(map(wake_release, owed)))


def _note_unknown(
    services: Services, provider: Provider, claim: Claim, asset: Asset, error: UnknownOutcome
) -> Outcome:
    """Set the lease to lapse at the time by which a job would be visible at the provider.

    The claim ended in order, so it does not count as a crash.
    """
    change = transitions.submit_unanswered(
        str(error), error.request_id, lapse_sec=provider.capabilities.margin_sec
    )
    with session_of(services.engine) as session:
        store.lock(session, asset.id)
        releases.record_unanswered(session, claim.attempt.id)
        circuit_breaker.record_failure(session, provider.name, services.settings.breaker_limits)
        try:
            store.advance(session, asset, change)
        except StaleTransition:
            return Outcome("stale")
    return Outcome("unanswered")


def accept(services: Services, claim: Claim, asset: Asset, submitted: Submitted) -> Outcome:
    """Record an accepted job: on the attempt always, on the asset if this claim still holds it."""
    with session_of(services.engine) as session:
        locked = store.lock(session, asset.id)
        assert locked is not None
        releases.record_job(
            session, claim.attempt.id, submitted.provider_job_id, submitted.provider_request_id
        )
        circuit_breaker.record_answer(session, claim.asset.provider)
        try:
            _let_go(services, session, claim, asset, submitted)
        except StaleTransition:
            return Outcome("moved_on", _release_if_abandoned(session, locked.asset, claim))
    return Outcome("submitted")


def _let_go(
    services: Services, session: Session, claim: Claim, asset: Asset, submitted: Submitted
) -> None:
    first_poll_sec = poll_interval(
        0, services.rng, least_sec=services.settings.sweep.poll_least_sec
    )
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
        found = provider.find(claim.attempt.id)
    except TransientProviderError as error:
        return _ask_again(services, provider, claim, str(error))
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
        store.advance(session, claim.asset, transitions.looked_up(answer, lapse_sec=delay_sec))
    return Outcome("unanswered")
