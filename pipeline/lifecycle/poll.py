"""The poll of a provider about a job whose callback has not come."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from pipeline.config.task_names import wake_release
from pipeline.content.gate import GateUnavailable
from pipeline.domain.backoff import equal_jitter, poll_interval
from pipeline.domain.errors import (
    AccountProblem,
    ProviderError,
    RefusedForNow,
    StaleTransition,
    TransientProviderError,
)
from pipeline.domain.events import EventDraft, EventType
from pipeline.domain.states import Status
from pipeline.domain.values import (
    FOLLOWED_UP,
    AttemptOutcome,
    DeliveryStatus,
    Phase,
    ProviderStatus,
    Setback,
)
from pipeline.lifecycle.account_refusal import note_accepted, note_refusal
from pipeline.lifecycle.apply_report import apply_report
from pipeline.lifecycle.job_reference import job_of
from pipeline.lifecycle.provider_report import ProviderReport
from pipeline.lifecycle.settle import settle
from pipeline.limits import circuit_breaker
from pipeline.providers.base import Provider
from pipeline.records import releases, store, transitions, vendor_facts
from pipeline.records.models import Asset, Attempt
from pipeline.runtime.database import session_of
from pipeline.services import Outcome, Services

SOON_SEC = 2.0
"""Time in which a follow-up call usually takes effect."""
TERMINAL = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED})


def poll(services: Services, asset_id: UUID) -> Outcome:
    """Fetch the state of the current job and apply it as a report.

    Safe to run twice: the first run moves ``next_poll_at`` ahead before it asks.
    """
    with session_of(services.engine) as session:
        due = _take(services, session, asset_id)
    if due is None:
        return Outcome("not_due")
    asset, attempt = due
    try:
        return _ask_or_wait(services, asset, attempt)
    except StaleTransition:
        return Outcome("stale")


def _ask_or_wait(services: Services, asset: Asset, attempt: Attempt) -> Outcome:
    try:
        return _ask(services, asset, attempt)
    except AccountProblem as error:
        return note_refusal(services, asset.id, attempt.id, error, call="fetch")
    except RefusedForNow as error:
        return _postpone(services, asset, error)
    except TransientProviderError as error:
        return _note_silence(services, attempt.provider, error)
    except ProviderError as error:
        return Outcome(f"waiting: {error.traceable}")
    except GateUnavailable as error:
        return Outcome(f"waiting: {error}")


def _ask(services: Services, asset: Asset, attempt: Attempt) -> Outcome:
    provider = services.providers.get(attempt.provider)
    if provider is None:
        return Outcome(f"waiting: account {attempt.provider} is not configured")
    status = provider.fetch(job_of(attempt, asset))
    if status is None:
        return _vanished(services, asset)
    if status.follow_up is None:
        note_accepted(services, attempt)
    outcome = _apply(services, asset, attempt, status)
    if status.follow_up is None:
        return outcome
    return follow_up(services, provider, asset.id, attempt, status)


def follow_up(
    services: Services, provider: Provider, asset_id: UUID, attempt: Attempt, status: ProviderStatus
) -> Outcome:
    """Make the follow-up call that a report asks for, and poll again soon.

    Safe to run twice: the call has no further effect, and the provider asks for it until it has
    taken effect. The chronicle has each one once.

    Raises:
        ProviderError: The provider did not take the call; the next poll makes it again.
        StaleTransition: The asset moved on.
    """
    assert status.follow_up is not None
    asset = _still_current(services, asset_id, attempt)
    if asset is None:
        return Outcome("moved_on")
    # The report may be the first to name the job: then the attempt, read before, has no id of it.
    job = replace(job_of(attempt, asset), provider_job_id=status.provider_job_id)
    try:
        provider.advance(job, status.follow_up)
    except AccountProblem as error:
        return note_refusal(services, asset_id, attempt.id, error, call="advance")
    note_accepted(services, attempt)
    return _record_follow_up(services, asset_id, attempt.id, status, status.follow_up)


def _record_follow_up(
    services: Services, asset_id: UUID, attempt_id: UUID, status: ProviderStatus, name: str
) -> Outcome:
    """Record a follow-up call on the attempt, and once in the chronicle of its asset.

    The asset may have moved on during the call; then only the attempt has it.
    """
    with session_of(services.engine) as session:
        locked = store.lock(session, asset_id)
        assert locked is not None
        made = session.get_one(Attempt, attempt_id).vendor.get(FOLLOWED_UP, [])
        if name in made:
            return Outcome("followed_up")
        facts = {**status.vendor, FOLLOWED_UP: [*made, name]}
        vendor_facts.merge_facts(session, attempt_id, facts)
        if not _waits_for(locked.asset, attempt_id):
            return Outcome("moved_on")
        change = transitions.followed_up(name, status.provider_job_id, next_poll_sec=SOON_SEC)
        store.advance(session, locked.asset, change)
    return Outcome("followed_up")


def _still_current(services: Services, asset_id: UUID, attempt: Attempt) -> Asset | None:
    """Return the asset if it still waits for this attempt."""
    with session_of(services.engine) as session:
        asset = session.get(Asset, asset_id)
    return asset if asset is not None and _waits_for(asset, attempt.id) else None


def _waits_for(asset: Asset, attempt_id: UUID) -> bool:
    is_current = asset.attempt_id == attempt_id and asset.deleted_at is None
    return is_current and asset.status is Status.PROCESSING


def _postpone(services: Services, asset: Asset, error: RefusedForNow) -> Outcome:
    """Ask again when the provider wants to be asked."""
    delay_sec = equal_jitter(1, services.rng, retry_after_sec=error.retry_after_sec)
    with session_of(services.engine) as session:
        store.advance(session, asset, transitions.poll_scheduled(delay_sec))
    return Outcome(f"waiting: {error.traceable}")


def _note_silence(services: Services, account: str, error: TransientProviderError) -> Outcome:
    """Count a poll without an answer for the breaker, as a submission without one."""
    with session_of(services.engine) as session:
        circuit_breaker.record_failure(session, account, services.settings.breaker_limits)
    return Outcome(f"waiting: {error.traceable}")


def _take(services: Services, session: Session, asset_id: UUID) -> tuple[Asset, Attempt] | None:
    locked = store.lock(session, asset_id, skip_locked=True)
    if locked is None or not _is_due(locked.asset, locked.now):
        return None
    attempt = session.get_one(Attempt, locked.asset.attempt_id)
    submitted_at = attempt.submitted_at or locked.now
    delay_sec = poll_interval(
        (locked.now - submitted_at).total_seconds(),
        services.rng,
        least_sec=_least_sec(services, attempt.provider),
    )
    asset = store.advance(session, locked.asset, transitions.poll_scheduled(delay_sec))
    return asset, attempt


def _least_sec(services: Services, account: str) -> float:
    if account in services.providers:
        return services.poll_least_sec(account)
    return services.settings.sweep.poll_least_sec


def _is_due(asset: Asset, now: datetime) -> bool:
    return (
        asset.status is Status.PROCESSING
        and asset.deleted_at is None
        and asset.provider_job_id is not None
        and asset.next_poll_at is not None
        and asset.next_poll_at <= now
    )


def _apply(services: Services, asset: Asset, attempt: Attempt, status: ProviderStatus) -> Outcome:
    def note_missed(session: Session, became: DeliveryStatus, _reason: str | None) -> None:
        tells_ends = not services.providers[attempt.provider].capabilities.polls_first
        if tells_ends and status.phase in TERMINAL and became is DeliveryStatus.APPLIED:
            store.record(
                session,
                asset.id,
                EventDraft(EventType.CALLBACK_MISSED, "sweep", {"phase": status.phase.value}),
            )

    report = ProviderReport(attempt.id, asset.id, status, "sweep", None, note_missed)
    applied = apply_report(services, report)
    return Outcome(applied.result, applied.wakes)


def _vanished(services: Services, asset: Asset) -> Outcome:
    """End an attempt whose job the provider no longer knows."""
    setback = Setback("provider_failed", "the provider lost the job", retryable=True)
    with session_of(services.engine) as session:
        assert asset.attempt_id is not None
        store.lock(session, asset.id)
        # One answer does not prove absence: the release of a job that may still exist is owed.
        owed = releases.owe_release(session, asset.attempt_id)
        store.update_attempt(
            session, asset.attempt_id, outcome=AttemptOutcome.FAILED, error_code=setback.code
        )
        settled = settle(
            session, asset, setback, retry=services.settings.retry, rng=services.rng, actor="sweep"
        )
    return Outcome(settled.status.value, tuple(map(wake_release, owed)))
