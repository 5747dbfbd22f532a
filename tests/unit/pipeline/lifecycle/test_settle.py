from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.work_settings import RetrySettings
from pipeline.domain.values import Setback
from pipeline.lifecycle.settle import GiveUp, Hold, TryAgain, next_step

RETRY = RetrySettings.model_construct(backoff_base_sec=2.0, backoff_cap_sec=600.0)


def step(setback: Setback, failures: int, max_attempts: int = 5) -> Hold | TryAgain | GiveUp:
    return next_step(
        setback, failures=failures, max_attempts=max_attempts, retry=RETRY, rng=Random(1)
    )


@given(st.integers(0, 100))
def test_being_held_never_spends_the_budget(failures: int) -> None:
    held = Setback("provider_failed", None, retryable=True, held=True, retry_after_sec=7)

    decision = step(held, failures)

    assert isinstance(decision, Hold)
    assert decision.delay_sec >= 7


def test_the_last_failure_of_the_budget_gives_up() -> None:
    setback = Setback("encode_failed", None, retryable=True)

    assert isinstance(step(setback, 3), TryAgain)
    assert step(setback, 4) == GiveUp(exhausted=True)


def test_what_cannot_pass_is_given_up_at_once() -> None:
    assert step(Setback("source_corrupt", None, retryable=False), 0) == GiveUp(exhausted=False)
