"""The settings of a run, and the bound on recovery that follows from them."""

from collections.abc import Mapping

LEASE_SEC = 8
SWEEP_SEC = 3.0
PROVIDER_TIMEOUT_SEC = 2.0
PROCESSING_DEADLINE_SEC = 30
BACKOFF_CAP_SEC = 4.0
WAKE_GRACE_SEC = 4.0
BREAKER_OPEN_SEC = 1.0
BREAKER_CAP_SEC = 4.0
UNKNOWN_MARGIN_SEC = 5.0
"""What the adapter allows an unanswered submission to show up (its declared margin)."""

SETTINGS: Mapping[str, str] = {
    # They nest as the product's own do: call < soft < hard < lease < visibility timeout.
    "KHRONIKA_PROVIDER_TIMEOUT_SEC": str(PROVIDER_TIMEOUT_SEC),
    "KHRONIKA_TASK_SOFT_LIMIT_SEC": "5",
    "KHRONIKA_TASK_HARD_LIMIT_SEC": "6",
    "KHRONIKA_LEASE_SEC": str(LEASE_SEC),
    "KHRONIKA_SWEEP_EVERY_SEC": str(SWEEP_SEC),
    "KHRONIKA_WAKE_GRACE_SEC": str(WAKE_GRACE_SEC),
    "KHRONIKA_POLL_LEAST_SEC": "2",
    "KHRONIKA_BACKOFF_BASE_SEC": "0.5",
    "KHRONIKA_BACKOFF_CAP_SEC": str(BACKOFF_CAP_SEC),
    "KHRONIKA_PROCESSING_DEADLINE_SEC": str(PROCESSING_DEADLINE_SEC),
    "KHRONIKA_BREAKER_OPEN_SEC": str(BREAKER_OPEN_SEC),
    "KHRONIKA_BREAKER_CAP_SEC": str(BREAKER_CAP_SEC),
    "KHRONIKA_CALLBACK_UNKNOWN_SEC": "10",
    "KHRONIKA_MAX_ATTEMPTS": "4",
    "KHRONIKA_MAX_CLAIMS": "5",
    # A few owners register what in production hundreds would.
    "KHRONIKA_OWNER_MAX_LIVE": "1000000",
    "KHRONIKA_OWNER_MAX_UPLOADS": "1000000",
}
"""Waits of seconds where production has minutes, so that a run sees every one of them end."""

MARGINS_SEC: Mapping[str, float] = {
    "a worker notices a dead broker connection and is back (timeout, health check, backoff)": 22.0,
    "the look-up of an unanswered submission": UNKNOWN_MARGIN_SEC + PROVIDER_TIMEOUT_SEC,
    "the poll of a job whose callback never comes (a fifth of its age, jittered)": (
        1.2 * PROCESSING_DEADLINE_SEC / 5
    ),
    "the longest wait before another attempt (cap and jitter)": 1.5 * BACKOFF_CAP_SEC,
    "an open breaker whose one try is lost with its worker": (
        BREAKER_CAP_SEC + BREAKER_OPEN_SEC + LEASE_SEC
    ),
    "a wake that was lost": WAKE_GRACE_SEC,
    "the last attempt's own job": 3.0,
}
"""What may come on top of lease and sweep, each at its worst."""

BACKLOG_SEC = 15.0
"""To work off what the faults held up, on two cores of our own; more where others use them too."""
OWN_LOAD_PER_CORE = 2.0
"""What a run itself brings a machine of two cores to."""


def recovery_sec(load_per_core: float) -> float:
    """How long after the last fault an asset may take to reach a terminal state.

    Args:
        load_per_core: Of the machine when the faults stop. What is above the run's own stretches
            the backlog, and nothing else: waits are waits.
    """
    stretch = max(1.0, load_per_core / OWN_LOAD_PER_CORE)
    return LEASE_SEC + SWEEP_SEC + sum(MARGINS_SEC.values()) + BACKLOG_SEC * stretch
