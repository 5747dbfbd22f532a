"""A circuit breaker: while calls fail, requests do not wait for them."""

import time
from collections.abc import Callable
from threading import Lock

FAILURES_TO_OPEN = 3
OPEN_SEC = 5.0
"""The pause of the calls; about the time until the sweep notices due work."""


class Breaker:
    """Stops calls that fail, and lets one through now and then as a test.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._failures = 0
        self._closed_until = 0.0

    def allows(self) -> bool:
        """Return True if the caller may call; while open, one caller in ``OPEN_SEC`` may."""
        with self._lock:
            if self._failures < FAILURES_TO_OPEN:
                return True
            if self._clock() < self._closed_until:
                return False
            self._closed_until = self._clock() + OPEN_SEC
            return True

    @property
    def is_open(self) -> bool:
        """True while calls are stopped; reading it lets no call through."""
        with self._lock:
            return self._failures >= FAILURES_TO_OPEN

    def succeeded(self) -> None:
        """Record that a call succeeded."""
        with self._lock:
            self._failures = 0

    def failed(self) -> None:
        """Record that a call failed."""
        with self._lock:
            self._failures += 1
            self._closed_until = self._clock() + OPEN_SEC
