"""Transitions of an asset: one constructor for each edge, and for each change inside a state.

A constructor names the state to enter, the event of the chronicle and every column that it sets.
``store.advance`` writes the transition. An edge clears the columns of the state that it leaves.
Therefore an asset has a lease, a due instant, a hold reason or a progress only in a state that
allows it; CHECK constraints of the table enforce this.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import func

from pipeline.domain.events import EventDraft, EventType
from pipeline.domain.failures import failure_of
from pipeline.domain.hold_reasons import AWAITING_ENQUEUE, NO_ACCOUNT, sentence_of
from pipeline.domain.states import Status
from pipeline.domain.values import Outputs, Setback, Submitted
from pipeline.media.source_info import Measured
from pipeline.records.clock import from_now, interval
from pipeline.records.models import Asset, Attempt, Output
from pipeline.records.published import published_columns

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""The deadline of an asset that waits for an operator.

PostgreSQL's ``infinity`` would be clearer, but no Python ``datetime`` can hold it, and psycopg
refuses to load it.
"""

NO_MORE_WORK: Mapping[str, Any] = {
    "lease_token": Asset.lease_token + 1,
    "lease_expires_at": None,
    "hold_reason": None,
    "next_attempt_at": None,
    "woken_at": None,
    "next_poll_at": None,
}
"""Columns of an asset without a worker and without due work. The raised token stops old writers."""

NOT_HELD: Mapping[str, Any] = {"holds": 0, "held_since": None}
"""Columns of an asset that does not wait for a passing trouble."""

LEFT: Mapping[str, Any] = {
    **NO_MORE_WORK,
    "deadline_at": None,
    "progress": None,
    "progress_at": None,
    "error_code": None,
    "error_message": None,
}
"""The columns of the state that an edge leaves; the edge sets those of the state it enters."""


@dataclass(frozen=True)
class Transition:
    """One change of an asset.

    Attributes:
        target: The state to enter; None: the asset stays in its state.
        event: The event of the chronicle; None for a change without an event.
        columns: The columns to set, as values or SQL expressions.
    """

    target: Status | None
    event: EventDraft | None
    columns: Mapping[str, Any] = field(default_factory=dict)


# Edges into `processing`, and the changes inside it.


def claimed(
    attempt: Attempt,
    *,
    lease_sec: float,
    deadline_sec: float,
    passed_over: Mapping[str, str] = MappingProxyType({}),
) -> Transition:
    """Begin a new attempt under a lease.

    Args:
        attempt: Its account becomes the asset's.
        passed_over: The reason for each account that was preferred and not taken.
    """
    detail: dict[str, Any] = {"attempt_id": str(attempt.id)}
    if passed_over:
        detail["passed_over"] = dict(passed_over)
    return Transition(
        Status.PROCESSING,
        EventDraft(EventType.CLAIMED, "worker", detail),
        {
            **LEFT,
            "provider": attempt.provider,
            "attempt": attempt.number,
            "attempt_id": attempt.id,
            "claims": 1,
            "provider_job_id": None,
            "deadline_at": from_now(deadline_sec),
            "lease_expires_at": from_now(lease_sec),
        },
    )


def lease_taken_over(asset: Asset, *, lease_sec: float) -> Transition:
    """Continue an attempt whose lease has lapsed, under a new token."""
    return Transition(
        None,
        EventDraft(EventType.LEASE_TAKEN_OVER, "worker", {"claims": asset.claims + 1}),
        {
            "claims": Asset.claims + 1,
            "lease_token": Asset.lease_token + 1,
            "lease_expires_at": from_now(lease_sec),
        },
    )


def source_verified(measured: Measured) -> Transition:
    """Keep the measurements of the source."""
    info = measured.info
    return Transition(
        None,
        EventDraft(EventType.SOURCE_VERIFIED, "worker", _of_source(measured)),
        {
            "source_info": info.to_json(),
            "source_size_bytes": measured.size_bytes,
            "source_etag": measured.etag,
            "duration_sec": info.duration_sec,
            "width": info.width,
            "height": info.height,
        },
    )


def copy_verified(measured: Measured, account: str) -> Transition:
    """Record that a published MP4 takes the place of the source, whose measurements stay."""
    detail = {**_of_source(measured), "copied_from": account}
    return Transition(None, EventDraft(EventType.SOURCE_VERIFIED, "worker", detail))


def _of_source(measured: Measured) -> Mapping[str, Any]:
    info = measured.info
    return {
        "container": info.container,
        "video_codec": info.video_codec,
        "audio_codec": info.audio_codec,
        "size_bytes": measured.size_bytes,
        "duration_sec": info.duration_sec,
        "width": info.width,
        "height": info.height,
    }


def metadata_mismatch(mismatch: Mapping[str, Any]) -> Transition:
    """Record that the source measures differently from the client's declaration."""
    return Transition(None, EventDraft(EventType.METADATA_MISMATCH, "worker", mismatch))


def submitted(attempt_id: UUID, job: Submitted, *, first_poll_sec: float) -> Transition:
    """Release the lease: the provider has accepted the job."""
    return Transition(
        None,
        EventDraft(
            EventType.SUBMITTED,
            "worker",
            {"attempt_id": str(attempt_id)},
            provider_job_id=job.provider_job_id,
            provider_request_id=job.provider_request_id,
        ),
        {
            "provider_job_id": job.provider_job_id,
            "lease_expires_at": None,
            "next_poll_at": from_now(first_poll_sec),
        },
    )


def submit_unanswered(message: str, request_id: str | None, *, lapse_sec: float) -> Transition:
    """Let the lease lapse after the time in which the job, if any, appears at the provider."""
    event = EventDraft(
        EventType.SUBMIT_UNANSWERED, "worker", {"message": message}, provider_request_id=request_id
    )
    return Transition(None, event, _lapsing(lapse_sec))


def looked_up(answer: str, request_id: str | None = None, *, lapse_sec: float) -> Transition:
    """Let the lease lapse, so that the provider is asked for the job again."""
    event = EventDraft(
        EventType.LOOKED_UP, "worker", {"answer": answer}, provider_request_id=request_id
    )
    return Transition(None, event, _lapsing(lapse_sec))


def lease_renewed(lease_sec: float) -> Transition:
    """Hold the lease for longer, because the work under it gets on."""
    return Transition(None, None, {"lease_expires_at": from_now(lease_sec)})


def claim_given_back() -> Transition:
    """Let the lease lapse now, so that another worker goes on with the attempt."""
    return Transition(None, None, _lapsing(0))


def _lapsing(lapse_sec: float) -> Mapping[str, Any]:
    """Return the columns of a claim that ended normally: it does not count as a crash."""
    return {"claims": 0, "lease_expires_at": from_now(lapse_sec)}


def playable(
    output_id: UUID, outputs: Outputs, event: EventDraft, *, next_poll_sec: float
) -> Transition:
    """Publish the outputs of a job that is not finished.

    Args:
        next_poll_sec: Time until the provider is asked for the rest.
    """
    return Transition(
        None,
        event,
        {
            **published_columns(output_id, outputs),
            "provider_job_id": event.provider_job_id,
            "lease_token": Asset.lease_token + 1,
            "lease_expires_at": None,
            "playable_at": func.coalesce(Asset.playable_at, func.now()),
            "next_poll_at": from_now(next_poll_sec),
        },
    )


def followed_up(name: str, job: str | None, *, next_poll_sec: float) -> Transition:
    """Record a follow-up call, and ask the provider soon for its effect."""
    event = EventDraft(EventType.FOLLOWED_UP, "worker", {"call": name}, provider_job_id=job)
    return Transition(None, event, {"next_poll_at": from_now(next_poll_sec)})


def job_seen(attempt_id: UUID, job: str, actor: str, *, next_poll_sec: float) -> Transition:
    """Release the lease: a report proves that the provider has the job.

    The raised token stops the worker that waits for the answer, or looks the job up.
    """
    event = EventDraft(
        EventType.JOB_SEEN, actor, {"attempt_id": str(attempt_id)}, provider_job_id=job
    )
    return Transition(
        None,
        event,
        {
            "provider_job_id": job,
            "lease_token": Asset.lease_token + 1,
            "lease_expires_at": None,
            "next_poll_at": from_now(next_poll_sec),
        },
    )


def poll_scheduled(delay_sec: float) -> Transition:
    """Set the instant of the next poll."""
    return Transition(None, None, {"next_poll_at": from_now(delay_sec)})


def poll_no_later(delay_sec: float) -> Transition:
    """Move a poll forward, if it is due later than this."""
    return Transition(
        None, None, {"next_poll_at": func.least(Asset.next_poll_at, from_now(delay_sec))}
    )


def account_refused(call: str, message: str, request_id: str | None) -> Transition:
    """Record that the vendor refuses the account of a job that it has."""
    event = EventDraft(
        EventType.ACCOUNT_REFUSED,
        "worker",
        {"call": call, "message": message},
        provider_request_id=request_id,
    )
    return Transition(None, event)


def deadline_moved(delay_sec: float) -> Transition:
    """Set a deadline that has passed to a later instant."""
    return Transition(None, None, {"deadline_at": from_now(delay_sec)})


# Edges out of `processing` and of waiting, without new outputs.


def hold_extended(
    reason: str,
    delay_sec: float,
    *,
    is_news: bool,
    account: str | None = None,
    passed_over: Mapping[str, str] = MappingProxyType({}),
) -> Transition:
    """Hold a waiting asset: its budget is not used up.

    Args:
        reason: One of ``domain/hold_reasons.py``.
        delay_sec: Length of the hold. The deadline moves by the same time, unless no account can
            do the job: then only an operator helps, and the asset expires without one.
        is_news: False if the chronicle has this reason already.
        account: The account that the asset waits for; None for any.
        passed_over: The reason for each account.
    """
    detail: dict[str, Any] = {
        "code": reason,
        "message": sentence_of(reason),
        "delay_sec": round(delay_sec, 3),
    }
    if passed_over:
        detail["passed_over"] = dict(passed_over)
    columns: dict[str, Any] = {
        "hold_reason": reason,
        "next_attempt_at": from_now(delay_sec),
        "woken_at": None,
    }
    if reason != NO_ACCOUNT:
        columns["deadline_at"] = Asset.deadline_at + interval(delay_sec)
        columns["held_since"] = Asset.held_since + interval(delay_sec)
    if account is not None:
        columns["provider"] = account
    event = EventDraft(EventType.HELD, "worker", detail, provider=account) if is_news else None
    return Transition(None, event, columns)


def held(
    setback: Setback, *, delay_sec: float, deadline_sec: float, actor: str, event_id: str | None
) -> Transition:
    """End an attempt for a reason that passes; the retry budget is not used.

    Args:
        deadline_sec: Time from the first of these waits until the asset fails with this reason.
    """
    since = func.coalesce(Asset.held_since, func.now())
    return Transition(
        Status.RETRYING,
        _of_setback(EventType.HELD, setback, actor, event_id, delay_sec=delay_sec),
        {
            **_waiting(setback, delay_sec, deadline_sec),
            "hold_reason": setback.code,
            "holds": Asset.holds + 1,
            "held_since": since,
            "deadline_at": since + interval(deadline_sec),
        },
    )


def retry_scheduled(
    setback: Setback, *, delay_sec: float, deadline_sec: float, actor: str, event_id: str | None
) -> Transition:
    """End an attempt that failed for a passing reason, and schedule the next."""
    return Transition(
        Status.RETRYING,
        _of_setback(EventType.RETRY_SCHEDULED, setback, actor, event_id, delay_sec=delay_sec),
        {
            **_waiting(setback, delay_sec, deadline_sec),
            **NOT_HELD,
            "failures": Asset.failures + 1,
        },
    )


def failed(setback: Setback, *, actor: str, event_id: str | None) -> Transition:
    """End an attempt and fail the asset, for a reason that a retry cannot remove."""
    return Transition(
        Status.FAILED,
        _of_setback(EventType.FAILED, setback, actor, event_id),
        {
            **_ended(setback.code, failure_of(setback.code).message),
            "failures": Asset.failures + 1,
        },
    )


def retry_exhausted(setback: Setback, *, actor: str, event_id: str | None) -> Transition:
    """End an attempt that used up the retry budget, and fail the asset with its code."""
    exhausted = failure_of(EventType.RETRY_EXHAUSTED.value)
    message = f"{failure_of(setback.code).sentence} {exhausted.message}"
    return Transition(
        Status.FAILED,
        _of_setback(EventType.RETRY_EXHAUSTED, setback, actor, event_id),
        {**_ended(setback.code, message), "failures": Asset.failures + 1},
    )


def worker_crashed(asset: Asset) -> Transition:
    """Fail an asset whose workers were lost too often."""
    detail = {"code": "worker_crashed", "claims": asset.claims}
    return Transition(
        Status.FAILED,
        EventDraft(EventType.FAILED, "worker", detail),
        _ended("worker_crashed"),
    )


def expired(asset: Asset) -> Transition:
    """Fail a waiting asset whose deadline has passed, with the code of the trouble if it had one.

    An asset that was never tried fails as ``expired``.
    """
    code = asset.error_code or EventType.EXPIRED.value
    detail = {"hold_reason": asset.hold_reason, "code": code, "holds": asset.holds}
    event = EventDraft(EventType.EXPIRED, "sweep", detail)
    return Transition(Status.FAILED, event, _ended(code, _expiry_message(code)))


def _expiry_message(code: str) -> str:
    expiry = failure_of(EventType.EXPIRED.value)
    if failure_of(code) is expiry:
        return expiry.message
    return f"{failure_of(code).sentence} {expiry.message}"


def cancelled(actor: str) -> Transition:
    """Fail a live asset at the request of its owner or an operator."""
    return Transition(Status.FAILED, EventDraft(EventType.CANCELLED, actor), _ended("cancelled"))


def _of_setback(
    type_: EventType,
    setback: Setback,
    actor: str,
    event_id: str | None,
    *,
    delay_sec: float | None = None,
) -> EventDraft:
    detail = {"code": setback.code, "message": setback.message, **setback.context}
    if delay_sec is not None:
        detail["delay_sec"] = round(delay_sec, 3)
    return EventDraft(
        type_,
        actor,
        detail,
        provider_request_id=setback.context.get("provider_request_id"),
        provider_event_id=event_id,
    )


def _waiting(setback: Setback, delay_sec: float, deadline_sec: float) -> Mapping[str, Any]:
    return {
        **LEFT,
        "next_attempt_at": from_now(delay_sec),
        "deadline_at": from_now(deadline_sec + delay_sec),
        "error_code": setback.code,
        "error_message": failure_of(setback.code).sentence,
    }


def _ended(code: str, message: str | None = None) -> Mapping[str, Any]:
    message = message or failure_of(code).message
    return {**LEFT, **NOT_HELD, "error_code": code, "error_message": message}


# Edges into `completed`, and the changes inside it.


def completed(
    output_id: UUID,
    attempt_id: UUID,
    outputs: Outputs,
    event: EventDraft,
) -> Transition:
    """Publish the outputs of an attempt.

    Args:
        output_id: The row of ``video_outputs``.
        attempt_id: The attempt that made them; it becomes the current one.
        outputs: The outputs that the gate passed.
        event: ``completed``, or ``late_success`` of an attempt that was abandoned.
    """
    return Transition(
        Status.COMPLETED,
        event,
        {
            **LEFT,
            **NOT_HELD,
            **published_columns(output_id, outputs),
            "attempt_id": attempt_id,
            "wanted_provider": None,
            "provider_job_id": event.provider_job_id,
            "progress": 100,
            "progress_at": func.now(),
            "playable_at": func.coalesce(Asset.playable_at, func.now()),
            "completed_at": func.now(),
        },
    )


def rolled_back(asset: Asset, previous: Output, actor: str) -> Transition:
    """Publish earlier outputs again."""
    detail = {"from": str(asset.published_output_id), "to": str(previous.id)}
    return Transition(
        None,
        EventDraft(EventType.ROLLED_BACK, actor, detail),
        published_columns(previous.id, previous),
    )


# Edges into `queued`, and the changes of a queued asset.


def retried(asset: Asset, actor: str, *, deadline_sec: float) -> Transition:
    """Queue a failed asset again: the retry budget starts over."""
    event = EventDraft(EventType.RETRIED, actor, {"error_code": asset.error_code})
    return Transition(Status.QUEUED, event, _started_over(deadline_sec))


def source_readdressed(url: str, actor: str) -> Transition:
    """Replace the address of the source by a fresh one of the same file."""
    event = EventDraft(EventType.SOURCE_READDRESSED, actor)  # without the address, which is signed
    return Transition(None, event, {"source_url": url})


def reencode_requested(asset: Asset, actor: str, *, deadline_sec: float) -> Transition:
    """Queue a completed asset for a new generation; its outputs stay published."""
    detail = {"generation": asset.generation + 1}
    return Transition(
        Status.QUEUED,
        EventDraft(EventType.REENCODE_REQUESTED, actor, detail),
        {**_started_over(deadline_sec), "generation": Asset.generation + 1},
    )


def move_requested(
    asset: Asset, source: str, target: str, actor: str, *, deadline_sec: float
) -> Transition:
    """Queue a completed asset for a new generation at another account.

    Its outputs stay published until the new ones replace them. The sweep wakes its worker.
    """
    detail = {"generation": asset.generation + 1, "from": source, "to": target}
    return Transition(
        Status.QUEUED,
        EventDraft(EventType.MOVE_REQUESTED, actor, detail),
        {
            **_started_over(deadline_sec),
            "woken_at": None,
            "generation": Asset.generation + 1,
            "wanted_provider": target,
        },
    )


def awaiting_enqueue_columns() -> Mapping[str, Any]:
    """Return the columns of an asset that is only registered: it is never due."""
    return {"next_attempt_at": None, "hold_reason": AWAITING_ENQUEUE, "deadline_at": NEVER}


def enqueued(actor: str, *, deadline_sec: float) -> Transition:
    """Make due an asset that had only been registered."""
    return Transition(None, EventDraft(EventType.ENQUEUED, actor), due_columns(deadline_sec))


def due_columns(deadline_sec: float) -> Mapping[str, Any]:
    """Return the columns of a queued asset that is due now and is found by the sweep."""
    return {
        "next_attempt_at": func.now(),
        "woken_at": None,
        "hold_reason": None,
        "deadline_at": from_now(deadline_sec),
    }


def _started_over(deadline_sec: float) -> Mapping[str, Any]:
    """Return the columns of a queued asset whose worker is woken at once."""
    return {
        **LEFT,
        "failures": 0,
        "claims": 0,
        "next_attempt_at": from_now(0),
        "woken_at": from_now(0),
        "deadline_at": from_now(deadline_sec),
    }


# Deletion, from any state.


def deleted(actor: str) -> Transition:
    """Leave a tombstone: the state stays, the post is free again, and no work is due."""
    return Transition(
        None,
        EventDraft(EventType.DELETED, actor),
        {**NO_MORE_WORK, "deleted_at": from_now(0)},
    )
