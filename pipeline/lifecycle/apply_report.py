"""Application of a provider's report to an asset: the one path of callbacks and polls."""

from dataclasses import replace

from sqlalchemy.orm import Session

from pipeline.config.task_names import wake_release
from pipeline.content.expected_duration import expected_duration
from pipeline.content.gate import GateUnavailable, GateVerdict, check_outputs
from pipeline.content.ownership import AllowedOutputs, misplaced
from pipeline.domain.backoff import poll_interval
from pipeline.domain.decide import (
    Decision,
    FailAttempt,
    GateResult,
    Ignore,
    Publish,
    PublishPlayable,
    RecordProgress,
    RunGate,
    Situation,
    decide,
)
from pipeline.domain.events import EventDraft, EventType
from pipeline.domain.failures import failure_of, known_code
from pipeline.domain.faults import waits
from pipeline.domain.processing_step import DONE_PERCENT
from pipeline.domain.states import Status
from pipeline.domain.values import (
    AttemptOutcome,
    DeliveryStatus,
    Outputs,
    Phase,
    Playback,
    ProviderStatus,
    Setback,
)
from pipeline.lifecycle.provider_report import Applied, ProviderReport
from pipeline.lifecycle.publish import publish, publish_playable
from pipeline.lifecycle.repeated_rejection import unless_repeated
from pipeline.lifecycle.settle import may_go_elsewhere, settle
from pipeline.net.fetch import GuardedFetcher
from pipeline.records import account_states, releases, store, transitions, vendor_facts
from pipeline.records.clock import from_now
from pipeline.records.models import Asset, Attempt
from pipeline.runtime.database import session_of
from pipeline.runtime.wakes import Wake
from pipeline.services import Services

PLAYABLE_POLL_SEC = 5.0
"""Least time until a provider is asked for the outputs that are still to come."""

ATTEMPT_OUTCOMES = {
    Phase.COMPLETED: AttemptOutcome.COMPLETED,
    Phase.FAILED: AttemptOutcome.FAILED,
    Phase.CANCELLED: AttemptOutcome.CANCELLED,
}


def apply_report(services: Services, report: ProviderReport) -> Applied:
    """Decide about a report and write the decision in one transaction.

    Where the decision needs the gate, the gate runs outside a transaction, and a second
    transaction decides again.

    Safe to run twice: the second run finds the asset where the first one left it.

    Raises:
        GateUnavailable: The outputs could not be read now; only progress was written.
    """
    result = _apply(services, report, None)
    if result is not None:
        return result
    assert report.status.outputs is not None
    try:
        verdict = _look_at(services, report, report.status.outputs)
    except GateUnavailable as error:
        _note_trouble(services, report, str(error))
        raise
    result = _apply(services, report, verdict)
    assert result is not None
    return result


def _note_trouble(services: Services, report: ProviderReport, code: str) -> None:
    """Keep the reason for which outputs wait on their attempt, in case its deadline comes first."""
    with session_of(services.engine) as session:
        store.update_attempt(session, report.attempt_id, error_code=known_code(code))


def _look_at(services: Services, report: ProviderReport, outputs: Outputs) -> GateVerdict:
    """Check the addresses first, then the content: a misplaced output is not fetched."""
    with session_of(services.engine) as session:
        asset = session.get_one(Asset, report.asset_id)
        account = session.get_one(Attempt, report.attempt_id).provider
    provider = services.providers[account]
    signs = provider.capabilities.signs_addresses
    signed = asset.playback == Playback.SIGNED
    allowed = AllowedOutputs(
        asset_id=asset.id,
        attempt_id=report.attempt_id,
        playback=Playback(asset.playback),
        hosts=provider.trust.output_hosts,
        signs=signs,
    )
    policy = services.settings.sources.fetch_policy
    wrong = misplaced(outputs, allowed, policy)
    if wrong:
        return GateVerdict(GateResult.MISPLACED, wrong)
    with GuardedFetcher(allowed.narrowed(policy)) as fetcher:
        verdict = check_outputs(
            replace(services, fetcher=fetcher),
            outputs,
            expected_sec=expected_duration(asset, outputs),
            sign=provider.sign if signs and signed else None,
        )
    # A provider that names its losses itself knows more of them than a manifest shows.
    return replace(verdict, master=None) if provider.capabilities.names_losses else verdict


def _apply(
    services: Services, report: ProviderReport, verdict: GateVerdict | None
) -> Applied | None:
    """Write the decision; return None when the decision asks for the gate first."""
    with session_of(services.engine) as session:
        locked = store.lock(session, report.asset_id)
        assert locked is not None
        asset, attempt = locked.asset, session.get_one(Attempt, report.attempt_id)
        decision = decide(
            situation_of(asset, attempt),
            report.status,
            verdict.result if verdict else None,
            verdict.rule if verdict else None,
        )
        if isinstance(decision, RunGate):
            if asset.attempt_id == attempt.id and report.status.phase is Phase.COMPLETED:
                # A page that follows the asset then shows that its outputs are being checked.
                store.report_progress(session, asset, DONE_PERCENT, Asset.next_poll_at)
            return None
        _record_on_attempt(session, attempt, report.status)
        applied = _write(services, session, asset, report, decision=decision, verdict=verdict)
        reason = decision.reason if isinstance(decision, Ignore) else None
        report.settle_delivery(
            session, DeliveryStatus.IGNORED if reason else DeliveryStatus.APPLIED, reason
        )
        return applied if reason is None else _with_release_owed(session, asset, attempt, applied)


def _with_release_owed(
    session: Session, asset: Asset, attempt: Attempt, ignored: Applied
) -> Applied:
    """Owe the release of the job that an ignored report is about, unless the asset waits for it.

    Usually it is owed already. It is not if this report is the first sign of the job.
    """
    deleted = asset.deleted_at is not None
    if asset.attempt_id == attempt.id and asset.status is Status.PROCESSING and not deleted:
        return ignored
    owed = releases.owe_release(session, attempt.id, published_too=deleted)
    return Applied(ignored.result, tuple(map(wake_release, owed)))


def situation_of(asset: Asset, attempt: Attempt) -> Situation:
    """Return the state of an asset, in relation to an attempt."""
    return Situation(
        status=asset.status,
        error_code=asset.error_code,
        deleted=asset.deleted_at is not None,
        current_attempt=asset.attempt_id == attempt.id,
        current_generation=asset.generation == attempt.generation,
        purged=attempt.purged_at is not None,
        published=asset.published_output_id is not None,
    )


def _record_on_attempt(session: Session, attempt: Attempt, status: ProviderStatus) -> None:
    """Keep the provider's answer on the attempt, whether or not it changes the asset."""
    releases.record_job(session, attempt.id, status.provider_job_id)
    vendor_facts.merge_facts(session, attempt.id, status.vendor)
    outcome = ATTEMPT_OUTCOMES.get(status.phase)
    if outcome is not None and attempt.outcome in {None, AttemptOutcome.ACCEPTED, *releases.NO_JOB}:
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
    report: ProviderReport,
    *,
    decision: Decision,
    verdict: GateVerdict | None,
) -> Applied:
    match decision:
        case Publish(late=late):
            assert verdict is not None
            attempt = session.get_one(Attempt, report.attempt_id)
            account_states.record_truth(session, attempt.provider, attempt.created_at)
            return publish(session, asset, report, verdict, late=late)
        case PublishPlayable():
            assert verdict is not None
            delay_sec = poll_interval(0, services.rng, least_sec=PLAYABLE_POLL_SEC)
            return publish_playable(session, asset, report, verdict, next_poll_sec=delay_sec)
        case FailAttempt(code=code, message=message, retryable=retryable):
            setback = _setback_of(services, session, report, code, message, retryable=retryable)
            if verdict is not None:
                attempt = session.get_one(Attempt, report.attempt_id)
                account_states.record_lie(session, attempt.provider)
                setback = unless_repeated(session, attempt, setback)
                store.update_attempt(
                    session, report.attempt_id, error_code=code, error_message=message
                )
            settled = settle(
                session,
                asset,
                setback,
                retry=services.settings.retry,
                rng=services.rng,
                actor=report.actor,
                event_id=report.event_id,
                elsewhere=may_go_elsewhere(services, session, asset, setback),
            )
            return Applied(settled.status.value, _release_failed(services, session, report))
        case RecordProgress(progress=progress):
            _note(services, session, asset, report, progress)
            return Applied("noted")
        case Ignore(reason=reason):
            _record_ignored(session, asset, report, reason)
            return Applied(f"ignored: {reason}")
        case _:
            raise AssertionError(decision)


def _setback_of(
    services: Services,
    session: Session,
    report: ProviderReport,
    code: str,
    message: str | None,
    *,
    retryable: bool,
) -> Setback:
    """Return the setback of a job that its provider took and that has no outputs to publish."""
    account = session.get_one(Attempt, report.attempt_id).provider
    held = waits(
        failure_of(code).fault,
        retryable=retryable,
        took_job=True,
        bills=services.providers[account].capabilities.bills_failures,
    )
    return Setback(code, message, retryable, held=held)


def _release_failed(
    services: Services, session: Session, report: ProviderReport
) -> tuple[Wake, ...]:
    """Owe the release of a failed job whose vendor hosts: it keeps, and bills, what it has."""
    account = session.get_one(Attempt, report.attempt_id).provider
    hosts = not services.providers[account].capabilities.writes_to_our_storage
    if report.status.phase is not Phase.FAILED or not hosts:
        return ()
    owed = releases.owe_release(session, report.attempt_id, failed_too=True)
    return tuple(map(wake_release, owed))


def _note(
    services: Services,
    session: Session,
    asset: Asset,
    report: ProviderReport,
    progress: float | None,
) -> None:
    """Record progress, and the job itself if this report is its first sign."""
    delay_sec = poll_interval(0, services.rng, least_sec=services.poll_least_sec(asset.provider))
    if asset.provider_job_id is None:
        job = report.status.provider_job_id
        change = transitions.job_seen(report.attempt_id, job, report.actor, next_poll_sec=delay_sec)
        asset = store.advance(session, asset, change)
    store.report_progress(session, asset, progress or 0, from_now(delay_sec))


def _record_ignored(session: Session, asset: Asset, report: ProviderReport, reason: str) -> None:
    """Record a callback that changes nothing; a poll that changes nothing is no event."""
    if report.event_id is None:
        return
    store.record(
        session,
        asset.id,
        EventDraft(
            EventType.CALLBACK_IGNORED,
            report.actor,
            {"reason": reason, "phase": report.status.phase.value},
            provider_job_id=report.status.provider_job_id,
            provider_event_id=report.event_id,
        ),
    )
