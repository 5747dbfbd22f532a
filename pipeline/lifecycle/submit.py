"""The submission of an asset: claim, verify, commit the intent, call the provider, keep the answer.

No transaction is open while the source is read or the provider is called. If the worker dies, the
row tells how far it came, and the next claim goes on from there.
"""

from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.orm import Session

from pipeline.config.task_names import wake_release, wake_submit
from pipeline.content.object_urls import output_prefix, poster_prefix
from pipeline.content.source import SourceRefused, url_for_provider
from pipeline.content.source_facts import measured_facts
from pipeline.domain.errors import (
    LimitReached,
    ProviderError,
    RefusedForNow,
    StaleTransition,
    TerminalProviderError,
    TransientProviderError,
    UnknownOutcome,
)
from pipeline.domain.failures import failure_of, known_code
from pipeline.domain.faults import waits
from pipeline.domain.routing import PassedOver
from pipeline.domain.values import (
    AttemptOutcome,
    Playback,
    Setback,
    SubmitRequest,
)
from pipeline.lifecycle.accept import accept
from pipeline.lifecycle.claim import Claim, NoClaim, claim_asset
from pipeline.lifecycle.look_up import look_up
from pipeline.lifecycle.measure_claimed import measure_claimed
from pipeline.lifecycle.settle import may_go_elsewhere, settle
from pipeline.limits import circuit_breaker, owner_quotas, owner_share, spend_guard
from pipeline.limits.account_choice import lasting_reason_against
from pipeline.media.source_info import Measured
from pipeline.providers.base import Provider
from pipeline.records import releases, store, transitions
from pipeline.records.models import Asset
from pipeline.records.transitions import Transition
from pipeline.runtime.database import session_of
from pipeline.services import Outcome, Services

PROVIDER_FAILED = "provider_failed"
"""The code of an adapter whose provider was unreachable, or whose answer was unreadable."""

ACCOUNT_MISSING_SEC = 60.0
"""Time until an attempt whose account is not configured is looked at again."""

DURATION_DISAGREES_SEC = 0.5
"""Declared durations are rounded; a smaller difference is no disagreement."""


def submit(services: Services, asset_id: UUID) -> Outcome:
    """Submit one due asset to its provider, or write the transition that its failure calls for.

    A machine whose programs do not work claims nothing: the sweep wakes another one.
    """
    if not services.host.takes_work(services.tools):
        return Outcome("host_unfit")
    with session_of(services.engine) as session:
        claim = claim_asset(services, session, asset_id)
    if isinstance(claim, NoClaim):
        return Outcome(claim.reason, claim.wakes)
    try:
        outcome = _submit_claimed(services, claim)
    except StaleTransition:
        outcome = Outcome("stale")
    return _with_next(services, claim.asset.owner_id, outcome)


def _with_next(services: Services, owner_id: str, outcome: Outcome) -> Outcome:
    """Wake the next video of the owner, which may have waited for its share."""
    with session_of(services.engine) as session:
        waiting = owner_share.next_of_owner(session, owner_id)
    if waiting is None:
        return outcome
    return replace(outcome, wakes=(*outcome.wakes, wake_submit(waiting)))


def _submit_claimed(services: Services, claim: Claim) -> Outcome:
    provider = services.providers.get(claim.attempt.provider)
    if provider is None:
        return _wait_for_account(services, claim)
    if claim.attempt.intended_at is not None:
        found = look_up(services, provider, claim)
        if found is not None:
            return found
    try:
        claim, measured = measure_claimed(services, claim)
    except SourceRefused as error:
        return _end_unmeasured(services, claim, error)
    facts = measured_facts(measured)
    lacking = lasting_reason_against(services, claim.asset, provider, facts)
    try:
        if lacking is not None:
            return _route_again(services, claim, measured, lacking)
        asset = _intend(services, claim, measured)
    except LimitReached as error:
        setback = Setback(known_code(error.code), str(error), retryable=False)
        return _end_unasked(services, claim, setback, outcome=AttemptOutcome.SOURCE_REFUSED)
    return _call(services, provider, claim, asset, measured)


def _end_unmeasured(services: Services, claim: Claim, refused: SourceRefused) -> Outcome:
    """End an attempt whose source was not measured.

    A worker that was told to stop leaves it to another one: nothing was asked of a provider.
    """
    if not services.bounds.is_stopping():
        setback = _setback_of_source(refused)
        return _end_unasked(services, claim, setback, outcome=AttemptOutcome.SOURCE_REFUSED)
    with session_of(services.engine) as session:
        store.advance(session, claim.asset, transitions.claim_given_back())
    return Outcome("given_back", (wake_submit(claim.asset.id),))


def _setback_of_source(refused: SourceRefused) -> Setback:
    """Return the setback of a source that was not measured: no provider was asked."""
    fault = failure_of(refused.code).fault
    return Setback(
        known_code(refused.code),
        str(refused),
        retryable=refused.transient,
        held=waits(fault, retryable=refused.transient, took_job=False, bills=False),
        retry_after_sec=refused.retry_after_sec,
    )


def _wait_for_account(services: Services, claim: Claim) -> Outcome:
    """Let the lease lapse later: the settings no longer name the account of this attempt.

    The attempt's deadline still holds; the next attempt goes to another account.
    """
    change = transitions.looked_up("account_missing", lapse_sec=ACCOUNT_MISSING_SEC)
    with session_of(services.engine) as session:
        store.advance(session, claim.asset, change)
    return Outcome(f"waiting: account {claim.attempt.provider} is not configured")


def _route_again(
    services: Services, claim: Claim, measured: Measured, lacking: PassedOver
) -> Outcome:
    """Give the attempt up unasked: its account cannot process this source after all.

    The measurements are kept, so that the next claim chooses by them.

    Raises:
        LimitReached: The source exceeds the owner's quota of the day; nothing is written.
    """
    with session_of(services.engine) as session:
        asset = _record_measured(services, session, claim, measured)
    setback = Setback(
        "provider_busy", f"{claim.attempt.provider}: {lacking}", retryable=True, held=True
    )
    return _end_unasked(
        services, replace(claim, asset=asset), setback, outcome=AttemptOutcome.DEFERRED
    )


def _intend(services: Services, claim: Claim, measured: Measured) -> Asset:
    """Commit the measurements of the source and the intent to call the provider.

    The provider's time begins now, however long the source took to arrive.

    Raises:
        LimitReached: The source exceeds the owner's quota of the day; nothing is written.
    """
    with session_of(services.engine) as session:
        asset = _record_measured(services, session, claim, measured)
        deadline_sec = services.deadline_sec(claim.attempt.provider)
        asset = store.advance(session, asset, transitions.deadline_moved(deadline_sec))
        store.update_attempt(session, claim.attempt.id, intended_at=func.now())
        spend_guard.book_measured(session, claim.attempt.id, measured.info.duration_sec)
    return asset


def _record_measured(
    services: Services, session: Session, claim: Claim, measured: Measured
) -> Asset:
    """Write the measurements of the source, and charge the owner's day with them.

    One is never written without the other: a source that has been measured is not charged again.

    Raises:
        LimitReached: The source exceeds the owner's quota of the day. The transaction must not be
            committed.
    """
    asset = store.advance(session, claim.asset, _verified(claim, measured))
    if claim.source.copied_from is not None:
        return asset
    owner_quotas.book_measured(session, services.settings.owner_limits, claim.asset, measured)
    mismatch = declared_mismatch(asset.declared, measured)
    if mismatch:
        asset = store.advance(session, asset, transitions.metadata_mismatch(mismatch))
    return asset


def _verified(claim: Claim, measured: Measured) -> Transition:
    account = claim.source.copied_from
    if account is None:
        return transitions.source_verified(measured)
    return transitions.copy_verified(measured, account)


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


def _call(
    services: Services, provider: Provider, claim: Claim, asset: Asset, measured: Measured
) -> Outcome:
    request = SubmitRequest(
        asset_id=asset.id,
        attempt_id=claim.attempt.id,
        source_url=url_for_provider(services, claim.source, claim.attempt),
        output_prefix=output_prefix(asset.id, claim.attempt.id, Playback(asset.playback)),
        poster_prefix=poster_prefix(asset.id, claim.attempt.id, Playback(asset.playback)),
        source=measured_facts(measured),
        source_etag=measured.etag,
        poster_time_sec=asset.poster_time_sec,
        title=asset.title,
        max_profile=services.settings.providers.max_profile,
        playback=Playback(asset.playback),
        source_key=claim.source.key,
        crashes=_crashes(services, claim),
    )
    try:
        submitted = provider.submit(request)
    except UnknownOutcome as error:
        return _note_unknown(services, provider, claim, asset, error)
    except ProviderError as error:
        _note_refusal(services, provider, error)
        setback = _setback(error)
        outcome = AttemptOutcome.DEFERRED if setback.held else AttemptOutcome.REFUSED
        return _end_attempt(services, claim, asset, setback, outcome=outcome)
    return accept(services, claim, asset, submitted)


def _crashes(services: Services, claim: Claim) -> int:
    with session_of(services.engine) as session:
        return store.crashes_before(session, claim.attempt)


def _note_refusal(services: Services, provider: Provider, error: ProviderError) -> None:
    """Count a refusal as an answer for the breaker, but ``provider_failed`` as silence."""
    with session_of(services.engine) as session:
        is_passing = isinstance(error, TransientProviderError | RefusedForNow)
        if is_passing and error.code == PROVIDER_FAILED:
            circuit_breaker.record_failure(session, provider.name, services.settings.breaker_limits)
        else:
            circuit_breaker.record_answer(session, provider.name)


def _setback(error: ProviderError) -> Setback:
    """Return the setback of a job that the provider did not take: it costs the asset nothing."""
    retryable = not isinstance(error, TerminalProviderError)
    fault = failure_of(error.code).fault
    return Setback(
        known_code(error.code),
        str(error),
        retryable=retryable,
        held=waits(fault, retryable=retryable, took_job=False, bills=False),
        retry_after_sec=error.retry_after_sec,
        context={"provider_request_id": error.request_id},
    )


def _end_unasked(
    services: Services, claim: Claim, setback: Setback, *, outcome: AttemptOutcome
) -> Outcome:
    """End an attempt before its provider was called, and let the breaker test another."""
    with session_of(services.engine) as session:
        circuit_breaker.end_probe(session, claim.attempt.provider)
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
                elsewhere=may_go_elsewhere(services, session, asset, setback),
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
