"""What becomes of an asset whose attempt ended without outputs: one place decides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from sqlalchemy.orm import Session

from pipeline.config.settings import Settings
from pipeline.domain.backoff import equal_jitter, full_jitter
from pipeline.domain.failures import failure_of
from pipeline.domain.states import Status
from pipeline.domain.values import EventDraft
from pipeline.records import store
from pipeline.records.models import Asset, Attempt


@dataclass(frozen=True)
class Setback:
    """An attempt that ended without outputs.

    Attributes:
        code: One of ``pipeline.domain.failures``.
        message: What was said, for the chronicle.
        retryable: Whether a new attempt may succeed.
        held: The provider refused before taking the job: no budget is spent.
        retry_after_sec: The provider's hint.
    """

    code: str
    message: str | None
    retryable: bool
    held: bool = False
    retry_after_sec: float | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Hold:
    """Wait without spending budget."""

    delay_sec: float


@dataclass(frozen=True)
class TryAgain:
    """Spend one failure and wait."""

    delay_sec: float


@dataclass(frozen=True)
class GiveUp:
    """Fail for good: ``exhausted`` when the budget is what ended it."""

    exhausted: bool


def next_step(
    setback: Setback, *, failures: int, max_attempts: int, settings: Settings, rng: Random
) -> Hold | TryAgain | GiveUp:
    """Decide: a pure function of what happened and what budget is left.

    Args:
        failures: Failures spent before this one.
    """
    bounds = {"base_sec": settings.backoff_base_sec, "cap_sec": settings.backoff_cap_sec}
    if setback.held:
        hint = setback.retry_after_sec
        return Hold(equal_jitter(failures + 1, rng, retry_after_sec=hint, **bounds))
    if not setback.retryable:
        return GiveUp(exhausted=False)
    if failures + 1 >= max_attempts:
        return GiveUp(exhausted=True)
    return TryAgain(full_jitter(failures + 1, rng, **bounds))


def settle(
    session: Session,
    asset: Asset,
    setback: Setback,
    *,
    settings: Settings,
    rng: Random,
    actor: str,
    provider_event_id: str | None = None,
) -> Asset:
    """Take the edge out of ``processing`` that the setback calls for.

    Raises:
        StaleTransition: the asset moved on; nothing is written.
    """
    step = next_step(
        setback,
        failures=asset.failures,
        max_attempts=asset.max_attempts,
        settings=settings,
        rng=rng,
    )
    target, type_, changes = _edge(step, setback, asset, settings)
    detail = {"code": setback.code, "message": setback.message, **setback.context}
    if isinstance(step, Hold | TryAgain):
        detail["delay_sec"] = round(step.delay_sec, 3)
    settled = store.advance(
        session,
        asset,
        target,
        EventDraft(
            type_,
            actor,
            detail,
            provider_request_id=setback.context.get("provider_request_id"),
            provider_event_id=provider_event_id,
        ),
        lease_token=Asset.lease_token + 1,
        lease_expires_at=None,
        next_poll_at=None,
        progress=None,
        progress_at=None,
        **changes,
    )
    # After the guard: the files of an attempt that somebody else goes on with are not ours to drop.
    store.discard(session, Attempt.id == asset.attempt_id)
    return settled


def _edge(
    step: Hold | TryAgain | GiveUp, setback: Setback, asset: Asset, settings: Settings
) -> tuple[Status, str, dict[str, Any]]:
    if isinstance(step, GiveUp):
        return _failed(step, setback, asset)
    waiting = {
        "next_attempt_at": store.from_now(step.delay_sec),
        "woken_at": None,
        "deadline_at": store.from_now(settings.wait_deadline_sec + step.delay_sec),
        "error_code": setback.code,
        "error_message": failure_of(setback.code).sentence,
    }
    if isinstance(step, Hold):
        return Status.RETRYING, "held", {**waiting, "hold_reason": setback.code}
    return Status.RETRYING, "retry_scheduled", {**waiting, "failures": asset.failures + 1}


def _failed(step: GiveUp, setback: Setback, asset: Asset) -> tuple[Status, str, dict[str, Any]]:
    code = "retry_exhausted" if step.exhausted else setback.code
    message = failure_of(code).message
    if step.exhausted:
        message = f"{failure_of(setback.code).sentence} {message}"
    changes = {
        "failures": asset.failures + 1,
        "error_code": code,
        "error_message": message,
        "deadline_at": None,
    }
    return Status.FAILED, "retry_exhausted" if step.exhausted else "failed", changes
