"""Apply a provider's word to an asset: the one path of callbacks and polls."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import func, insert, update
from sqlalchemy.orm import Session

from pipeline import store
from pipeline.backoff import poll_interval
from pipeline.database import session_of
from pipeline.gate import GateReport, check_outputs
from pipeline.models import Asset, Attempt, Output
from pipeline.reducer import (
    Decision,
    FailAttempt,
    Ignore,
    Note,
    Publish,
    Standing,
    Verify,
    decide,
)
from pipeline.services import Services
from pipeline.states import Status
from pipeline.usecases.settle import Setback, settle
from pipeline.values import EventDraft, Outputs, Phase, ProviderStatus, Wake, wake_release

ATTEMPT_OUTCOMES = {
    Phase.COMPLETED: "completed",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "cancelled",
}


@dataclass(frozen=True)
class News:
    """A provider's word about an attempt, and how it came to us.

    Attributes:
        actor: ``provider:{name}`` for a callback, ``sweep`` for a poll.
        event_id: The callback's event id; None for a poll.
        settle_delivery: Called in the transaction that applies the news, with what became of it:
            ``applied`` or ``ignored``, and a reason.
    """

    attempt_id: UUID
    asset_id: UUID
    status: ProviderStatus
    actor: str
    event_id: str | None
    settle_delivery: Callable[[Session, str, str | None], None]


@dataclass(frozen=True)
class Applied:
    """What became of the news, in a word, and whom to wake."""

    what: str
    wakes: tuple[Wake, ...] = ()


def apply_news(services: Services, news: News) -> Applied:
    """Decide and write, in one transaction; the gate runs between two of them.

    Safe to run twice: the second run finds the asset where the first one left it.

    Raises:
        GateUnavailable: the outputs could not be looked at now; nothing was written.
    """
    result = _apply(services, news, None)
    if result is not None:
        return result
    assert news.status.outputs is not None
    with session_of(services.engine) as session:
        expected_sec = _source_duration(session.get_one(Asset, news.asset_id))
    report = check_outputs(services, news.status.outputs, expected_sec=expected_sec)
    result = _apply(services, news, report)
    assert result is not None
    return result


def _source_duration(asset: Asset) -> float | None:
    return asset.source_info["duration_sec"] if asset.source_info else None


def _apply(services: Services, news: News, report: GateReport | None) -> Applied | None:
    """Write what the reducer decides; None when it wants the gate first."""
    with session_of(services.engine) as session:
        locked = store.lock(session, news.asset_id)
        assert locked is not None
        asset, attempt = locked.asset, session.get_one(Attempt, news.attempt_id)
        decision = decide(
            _standing(asset, attempt),
            news.status,
            report.result if report else None,
            report.rule if report else None,
        )
        if isinstance(decision, Verify):
            return None
        _record_on_attempt(session, attempt, news.status)
        applied = _write(services, session, asset, news, decision)
        reason = decision.reason if isinstance(decision, Ignore) else None
        news.settle_delivery(session, "ignored" if reason else "applied", reason)
        return applied


def _standing(asset: Asset, attempt: Attempt) -> Standing:
    return Standing(
        status=asset.status,
        error_code=asset.error_code,
        deleted=asset.deleted_at is not None,
        current_attempt=asset.attempt_id == attempt.id,
        current_generation=asset.generation == attempt.generation,
        purged=attempt.purged_at is not None,
    )


def _record_on_attempt(session: Session, attempt: Attempt, status: ProviderStatus) -> None:
    """What the provider said is kept on the attempt, whatever the asset makes of it."""
    changes: dict[str, object] = {}
    if attempt.provider_job_id is None:
        changes["provider_job_id"] = status.provider_job_id
    outcome = ATTEMPT_OUTCOMES.get(status.phase)
    if outcome is not None and attempt.outcome in {None, "accepted"}:
        changes |= {
            "outcome": outcome,
            "error_code": status.error_code,
            "error_message": status.error_message,
        }
    if changes:
        store.update_attempt(session, attempt.id, **changes)


def _write(
    services: Services, session: Session, asset: Asset, news: News, decision: Decision
) -> Applied:
    match decision:
        case Publish(late=late):
            return _publish(session, asset, news, late=late)
        case FailAttempt(code=code, message=message, retryable=retryable):
            setback = Setback(code, message, retryable)
            settled = settle(
                session,
                asset,
                setback,
                settings=services.settings,
                rng=services.rng,
                actor=news.actor,
                provider_event_id=news.event_id,
            )
            return Applied(settled.status.value)
        case Note(progress=progress):
            _note(services, session, asset, progress)
            return Applied("noted")
        case Ignore(reason=reason):
            _record_ignored(session, asset, news, reason)
            return Applied(f"ignored: {reason}")
        case _:
            raise AssertionError(decision)


def _publish(session: Session, asset: Asset, news: News, *, late: bool) -> Applied:
    outputs = news.status.outputs
    assert outputs is not None
    session.execute(
        update(Output)
        .where(Output.asset_id == asset.id, Output.published_at.is_not(None))
        .where(Output.retired_at.is_(None))
        .values(retired_at=func.now())
        .execution_options(synchronize_session=False)
    )
    output_id = _insert_output(session, asset, news, outputs)
    type_ = "late_success" if late else "completed"
    store.advance(
        session,
        asset,
        Status.COMPLETED,
        EventDraft(
            type_,
            news.actor,
            {"output_id": str(output_id), "renditions": len(outputs.renditions)},
            provider_job_id=news.status.provider_job_id,
            provider_request_id=news.status.provider_request_id,
            provider_event_id=news.event_id,
        ),
        attempt_id=news.attempt_id,
        provider_job_id=news.status.provider_job_id,
        published_output_id=output_id,
        manifest_url=outputs.manifest_url,
        fallback_url=outputs.fallback_url,
        poster_url=outputs.poster_url,
        thumbnail_url=outputs.thumbnail_url,
        duration_sec=outputs.duration_sec,
        width=outputs.width,
        height=outputs.height,
        progress=100,
        progress_at=func.now(),
        error_code=None,
        error_message=None,
        hold_reason=None,
        next_attempt_at=None,
        next_poll_at=None,
        deadline_at=None,
        lease_expires_at=None,
        lease_token=Asset.lease_token + 1,
        playable_at=func.coalesce(Asset.playable_at, func.now()),
        completed_at=func.now(),
    )
    store.update_attempt(session, news.attempt_id, purge_at=None)
    store.discard(session, Attempt.asset_id == asset.id, Attempt.id != news.attempt_id)
    # A newer attempt may be under way where the success came late.
    owed = store.owe_releases(session, asset.id, but=news.attempt_id)
    return Applied(type_, tuple(map(wake_release, owed)))


def _insert_output(session: Session, asset: Asset, news: News, outputs: Outputs) -> UUID:
    output_id = uuid4()
    session.execute(
        insert(Output).values(
            id=output_id,
            asset_id=asset.id,
            generation=asset.generation,
            attempt_id=news.attempt_id,
            manifest_url=outputs.manifest_url,
            fallback_url=outputs.fallback_url,
            poster_url=outputs.poster_url,
            thumbnail_url=outputs.thumbnail_url,
            renditions=[dict(rendition) for rendition in outputs.renditions],
            duration_sec=outputs.duration_sec,
            width=outputs.width,
            height=outputs.height,
            size_bytes=outputs.size_bytes,
            published_at=func.now(),
        )
    )
    return output_id


def _note(services: Services, session: Session, asset: Asset, progress: float | None) -> None:
    delay_sec = poll_interval(0, services.rng, least_sec=services.settings.poll_least_sec)
    store.report_progress(session, asset, progress or 0, store.from_now(delay_sec))


def _record_ignored(session: Session, asset: Asset, news: News, reason: str) -> None:
    """A callback that changes nothing leaves its mark; a poll's silence is no event."""
    if news.event_id is None:
        return
    store.record(
        session,
        asset.id,
        EventDraft(
            "callback_ignored",
            news.actor,
            {"reason": reason, "phase": news.status.phase.value},
            provider_job_id=news.status.provider_job_id,
            provider_event_id=news.event_id,
        ),
    )
