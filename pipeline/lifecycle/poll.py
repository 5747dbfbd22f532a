"""The poll of a provider about a job whose callback has not come."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from pipeline.config.task_names import wake_release
from pipeline.content.gate import GateUnavailable
from pipeline.domain.backoff import poll_interval
from pipeline.domain.errors import StaleTransition, TransientProviderError
from pipeline.domain.events import EventDraft, EventType
from pipeline.domain.states import Status
from pipeline.domain.values import AttemptOutcome, DeliveryStatus, Phase, ProviderStatus, Setback
from pipeline.lifecycle.apply_report import apply_report
from pipeline.lifecycle.provider_report import ProviderReport
from pipeline.lifecycle.settle import settle
from pipeline.records import releases, store, transitions
from pipeline.records.models import Asset, Attempt
from pipeline.runtime.database import session_of
from pipeline.services import Outcome, Services

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
    provider = services.providers[asset.provider]
    assert attempt.provider_job_id is not None
    try:
        status = provider.fetch(attempt.id, attempt.provider_job_id)
        if status is None:
            return _vanished(services, asset)
        return _apply(services, asset, attempt, status)
    except (TransientProviderError, GateUnavailable) as error:
        return Outcome(f"waiting: {error}")
    except StaleTransition:
        return Outcome("stale")


def _take(services: Services, session: Session, asset_id: UUID) -> tuple[Asset, Attempt] | None:
    locked = store.lock(session, asset_id, skip_locked=True)
    if locked is None or not _is_due(locked.asset, locked.now):
        return None
    attempt = session.get_one(Attempt, locked.asset.attempt_id)
    submitted_at = attempt.submitted_at or locked.now
    delay_sec = poll_interval(
        (locked.now - submitted_at).total_seconds(),
        services.rng,
        least_sec=services.settings.sweep.poll_least_sec,
    )
    asset = store.advance(session, locked.asset, transitions.poll_scheduled(delay_sec))
    return asset, attempt


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
        if status.phase in TERMINAL and became is DeliveryStatus.APPLIED:
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
