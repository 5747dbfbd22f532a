import random

from hypothesis import given
from hypothesis import strategies as st

from transcoder.callback_delivery import retry_delay_sec


@given(st.integers(1, 1000), st.integers())
def test_a_delay_lies_below_a_ceiling_that_doubles(tries: int, seed: int) -> None:
    delay_sec = retry_delay_sec(tries, random.Random(seed))
    assert 0 <= delay_sec <= min(1800, 2 * 2 ** (tries - 1))


def test_receivers_that_failed_together_are_not_tried_together() -> None:
    rng = random.Random(1)
    assert len({round(retry_delay_sec(10, rng)) for _ in range(20)}) > 15
