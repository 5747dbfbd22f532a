"""Waits before the next try: pure functions of (failures, rng, hint), in seconds.

Full and equal jitter as in "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

import math
from random import Random

BASE_SEC = 2.0
CAP_SEC = 1800.0
DOUBLES = 2.0
OF_JOBS = 8.0
"""Growth of the waits after failed jobs: the five of the default budget span half an hour."""


def _ceiling(failures: int, base_sec: float, cap_sec: float, growth: float) -> float:
    # A power overflows a float for a large exponent, so the exponent is bounded first.
    most = max(0, math.ceil(math.log(cap_sec / base_sec, growth)))
    return min(cap_sec, base_sec * growth ** min(max(failures - 1, 0), most))


def full_jitter(
    failures: int, rng: Random, *, base_sec: float = BASE_SEC, cap_sec: float = CAP_SEC
) -> float:
    """Return the delay after a transport error: uniform between 0 and the doubling ceiling.

    Args:
        failures: Failures so far, the current one included (1 for the first).
    """
    return rng.uniform(0, _ceiling(failures, base_sec, cap_sec, DOUBLES))


def equal_jitter(
    failures: int,
    rng: Random,
    *,
    retry_after_sec: float | None = None,
    base_sec: float = BASE_SEC,
    cap_sec: float = CAP_SEC,
    growth: float = DOUBLES,
) -> float:
    """Return the delay after a refusal: at least half the ceiling, and never before Retry-After.

    Full jitter can be close to zero. A provider that has just answered "too many requests" would
    see that as another burst.
    """
    half = _ceiling(failures, base_sec, cap_sec, growth) / 2
    hint = min(retry_after_sec or 0.0, cap_sec)
    return max(hint, half) + rng.uniform(0, half)


def poll_interval(
    elapsed_sec: float, rng: Random, *, least_sec: float = 5.0, cap_sec: float = 300.0
) -> float:
    """Return the delay before the next poll: a fifth of the time waited, bounded, jittered 20 %.

    The delay grows with the wait, so the number of polls is logarithmic in the length of the job.
    """
    return min(cap_sec, max(least_sec, elapsed_sec / 5)) * rng.uniform(0.8, 1.2)
