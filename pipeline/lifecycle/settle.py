"""The decision about an asset whose attempt ended without outputs: hold, try again, or give up."""

from dataclasses import dataclass
from random import Random

from sqlalchemy.orm import Session

from pipeline.config.work_settings import RetrySettings
from pipeline.domain.backoff import OF_JOBS, equal_jitter, full_jitter
from pipeline.domain.values import Setback
from pipeline.limits.account_choice import REPEATING, has_another
from pipeline.records import store, transitions
from pipeline.records.models import Asset, Attempt
from pipeline.records.transitions import Transition
from pipeline.services import Services


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
    """Fail for good; ``exhausted`` if the retry budget is used up."""

    exhausted: bool


def next_step(
    setback: Setback,
    *,
    failures: int,
    holds: int,
    max_attempts: int,
    retry: RetrySettings,
    rng: Random,
    elsewhere: bool = False,
) -> Hold | TryAgain | GiveUp:
    """Decide by the setback and the budget that is left; a pure function.

    Args:
        failures: Failures spent before this one.
        holds: Waits since the last failure that was spent; the deadline bounds them.
        elsewhere: The failure would repeat itself at this account, and another one may be tried.
    """
    bounds = {"base_sec": retry.backoff_base_sec, "cap_sec": retry.backoff_cap_sec}
    if setback.held:
        hint = setback.retry_after_sec
        return Hold(equal_jitter(holds + 1, rng, retry_after_sec=hint, **bounds))
    if not setback.retryable and not elsewhere:
        return GiveUp(exhausted=False)
    if failures + 1 >= max_attempts:
        return GiveUp(exhausted=True)
    if elsewhere:
        return TryAgain(full_jitter(1, rng, **bounds))
    return TryAgain(equal_jitter(failures + 1, rng, growth=OF_JOBS, **bounds))


def may_go_elsewhere(services: Services, session: Session, asset: Asset, setback: Setback) -> bool:
    """Return true if the setback is the account's, and another account can take the asset."""
    if setback.retryable or setback.code not in REPEATING:
        return False
    return has_another(services, session, asset, asset.provider)


def settle(
    session: Session,
    asset: Asset,
    setback: Setback,
    *,
    retry: RetrySettings,
    rng: Random,
    actor: str,
    event_id: str | None = None,
    elsewhere: bool = False,
) -> Asset:
    """Take the edge out of ``processing`` that the setback calls for.

    Args:
        event_id: The id of the callback that reported the setback; None for other reporters.
        elsewhere: See ``may_go_elsewhere``.

    Raises:
        StaleTransition: The asset moved on; nothing is written.
    """
    step = next_step(
        setback,
        failures=asset.failures,
        holds=asset.holds,
        max_attempts=asset.max_attempts,
        retry=retry,
        rng=rng,
        elsewhere=elsewhere,
    )
    settled = store.advance(session, asset, _transition(step, setback, retry, actor, event_id))
    # After the guard: the files may be those of an attempt that another writer goes on with.
    store.discard(session, Attempt.id == asset.attempt_id)
    return settled


def _transition(
    step: Hold | TryAgain | GiveUp,
    setback: Setback,
    retry: RetrySettings,
    actor: str,
    event_id: str | None,
) -> Transition:
    match step:
        case Hold(delay_sec):
            make = transitions.held
        case TryAgain(delay_sec):
            make = transitions.retry_scheduled
        case GiveUp(exhausted=True):
            return transitions.retry_exhausted(setback, actor=actor, event_id=event_id)
        case GiveUp():
            return transitions.failed(setback, actor=actor, event_id=event_id)
    return make(
        setback,
        delay_sec=delay_sec,
        deadline_sec=retry.wait_deadline_sec,
        actor=actor,
        event_id=event_id,
    )
