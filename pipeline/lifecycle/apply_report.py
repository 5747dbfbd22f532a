"""Apply a provider's word to an asset: the one path of callbacks and polls."""

from dataclasses import replace

from sqlalchemy.orm import Session

from pipeline.config.task_names import wake_release
from pipeline.content.gate import GateReport, check_outputs
from pipeline.content.ownership import Place, misplaced
from pipeline.domain.backoff import poll_interval
from pipeline.domain.decide import (
    Decision,
    FailAttempt,
    GateResult,
    Ignore,
    Note,
    Publish,
    Standing,
    Verify,
    decide,
)
from pipeline.domain.processing_step import DONE_PERCENT
from pipeline.domain.states import Status
from pipeline.domain.values import EventDraft, Outputs, Phase, Playback, ProviderStatus
from pipeline.lifecycle.provider_report import Applied, News
from pipeline.lifecycle.publish import publish
from pipeline.lifecycle.settle import Setback, settle
from pipeline.net.fetch import GuardedFetcher
from pipeline.records import releases, store
from pipeline.records.models import Asset, Attempt
from pipeline.runtime.crash import Boundary, crash_point
from pipeline.runtime.database import session_of
from pipeline.services import Services, fetch_policy

ATTEMPT_OUTCOMES = {
    Phase.COMPLETED: "completed",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "cancelled",
}


def apply_news(services: Services, news: News) -> Applied:
    """Decide and write, in one transaction; the gate runs between two of them.

    Safe to run twice: the second run finds the asset where the first one left it.

    Raises:
        GateUnavailable: the outputs could not be looked at now; only progress was written.
    """
    result = _apply(services, news, None)
    if result is not None:
        return result
    assert news.status.outputs is not None
    report = _look_at(services, news, news.status.outputs)
    crash_point(Boundary.GATE_PASSED)
    result = _apply(services, news, report)
    assert result is not None
    return result


def _look_at(services: Services, news: News, outputs: Outputs) -> GateReport:
    """Where the outputs lie first: what is misplaced is not even fetched."""
    with session_of(services.engine) as session:
        asset = session.get_one(Asset, news.asset_id)
        account = session.get_one(Attempt, news.attempt_id).provider
    place = Place(
        asset_id=asset.id,
        attempt_id=news.attempt_id,
        playback=Playback(asset.playback),
        hosts=services.providers[account].trust.output_hosts,
    )
    policy = fetch_policy(services.settings)
    wrong = misplaced(outputs, place, policy)
    if wrong:
        return GateReport(GateResult.MISPLACED, wrong)
    with GuardedFetcher(place.narrowed(policy)) as fetcher:
        return check_outputs(
            replace(services, fetcher=fetcher),
            outputs,
            expected_sec=_source_duration(asset),
        )


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
            if asset.attempt_id == attempt.id:
                # Whoever watches sees that all that is left is the look at the outputs.
                store.report_progress(session, asset, DONE_PERCENT, Asset.next_poll_at)
            return None
        _record_on_attempt(session, attempt, news.status)
        applied = _write(services, session, asset, news, decision=decision, report=report)
        reason = decision.reason if isinstance(decision, Ignore) else None
        news.settle_delivery(session, "ignored" if reason else "applied", reason)
        return applied if reason is None else _with_debts(session, asset, attempt, applied)


def _with_debts(session: Session, asset: Asset, attempt: Attempt, ignored: Applied) -> Applied:
    """Give up the job the ignored news is about, unless it is the one being waited for.

    Most often its release is owed already; not so where nobody knew that there was a job.
    """
    deleted = asset.deleted_at is not None
    if asset.attempt_id == attempt.id and asset.status is Status.PROCESSING and not deleted:
        return ignored
    owed = releases.owe_release(session, attempt.id, published_too=deleted)
    return Applied(ignored.what, tuple(map(wake_release, owed)))


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
    releases.note_job(session, attempt.id, status.provider_job_id)
    outcome = ATTEMPT_OUTCOMES.get(status.phase)
    if outcome is not None and attempt.outcome in {None, "accepted", *releases.NO_JOB}:
        store.update_attempt(
            session,
            attempt.id,
            outcome=outcome,
            error_code=status.error_code,
            error_message=status.error_message,
        )


def _write(
    services: Services,
    session: Session,
    asset: Asset,
    news: News,
    *,
    decision: Decision,
    report: GateReport | None,
) -> Applied:
    match decision:
        case Publish(late=late):
            assert report is not None
            return publish(session, asset, news, report, late=late)
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
