from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.backoff import equal_jitter, full_jitter, poll_interval

failures = st.integers(1, 10_000)
seeds = st.integers()


@given(failures, seeds)
def test_full_jitter_stays_below_the_doubling_ceiling(n: int, seed: int) -> None:
    delay = full_jitter(n, Random(seed), base_sec=2, cap_sec=600)

    assert 0 <= delay <= min(600, 2 * 2 ** min(n - 1, 30))


@given(failures, seeds, st.floats(0, 10_000))
def test_equal_jitter_never_collapses_and_keeps_the_providers_hint(
    n: int, seed: int, hint: float
) -> None:
    delay = equal_jitter(n, Random(seed), retry_after_sec=hint, base_sec=2, cap_sec=600)

    assert delay >= min(600, 2 * 2 ** min(n - 1, 30)) / 2
    assert delay >= min(hint, 600)
    assert delay <= 900


def test_the_delay_is_a_pure_function_of_its_arguments() -> None:
    assert full_jitter(3, Random(7)) == full_jitter(3, Random(7))


@given(st.floats(0, 10_000_000), seeds)
def test_polls_grow_apart_within_bounds(elapsed: float, seed: int) -> None:
    interval = poll_interval(elapsed, Random(seed), least_sec=5, cap_sec=300)

    assert 4 <= interval <= 360
