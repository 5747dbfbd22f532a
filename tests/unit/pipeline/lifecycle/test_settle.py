from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.work_settings import RetrySettings
from pipeline.domain.values import Setback
from pipeline.lifecycle.settle import GiveUp, Hold, TryAgain, next_step

RETRY = RetrySettings.model_construct(backoff_base_sec=2.0, backoff_cap_sec=1800.0)


def step(setback: Setback, failures: int, holds: int = 0) -> Hold | TryAgain | GiveUp:
    return next_step(
        setback, failures=failures, holds=holds, max_attempts=5, retry=RETRY, rng=Random(1)
    )


@given(st.integers(0, 100))
def test_being_held_never_spends_the_budget(failures: int) -> None:
    held = Setback("provider_failed", None, retryable=True, held=True, retry_after_sec=7)

    decision = step(held, failures)

    assert isinstance(decision, Hold)
    assert decision.delay_sec >= 7


def test_waits_grow_to_hours_and_an_outage_of_minutes_costs_minutes() -> None:
    held = Setback("source_unreachable", None, retryable=True, held=True)
    delays = [_delay(step(held, 0, holds)) for holds in range(14)]

    assert sum(delays) > 3600
    waited = 0.0
    for delay in delays:
        assert delay <= 2 * waited + RETRY.backoff_base_sec
        waited += delay


def test_the_waits_between_paid_jobs_span_more_than_a_passing_trouble() -> None:
    failed = Setback("encode_failed", None, retryable=True)
    delays = [_delay(step(failed, failures)) for failures in range(4)]

    assert sum(delays) > 300
    assert min(delays) >= 1


def test_the_last_failure_of_the_budget_gives_up() -> None:
    setback = Setback("encode_failed", None, retryable=True)

    assert isinstance(step(setback, 3), TryAgain)
    assert step(setback, 4) == GiveUp(exhausted=True)


def test_what_cannot_pass_is_given_up_at_once() -> None:
    assert step(Setback("source_corrupt", None, retryable=False), 0) == GiveUp(exhausted=False)


def _delay(decision: Hold | TryAgain | GiveUp) -> float:
    assert not isinstance(decision, GiveUp)
    return decision.delay_sec
