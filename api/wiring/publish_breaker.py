"""Leaving alone what fails, so that not every request waits for it."""

import time
from collections.abc import Callable
from threading import Lock

FAILURES_TO_OPEN = 3
OPEN_SEC = 5.0
"""How long what failed is left alone; about as long as the sweep takes to notice work."""


class Breaker:
    """Stops calls to something that fails, and lets one through now and then to see.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._failures = 0
        self._closed_until = 0.0

    def allows(self) -> bool:
        """Whether to call now. While open, one caller in ``OPEN_SEC`` is let through."""
        with self._lock:
            if self._failures < FAILURES_TO_OPEN:
                return True
            if self._clock() < self._closed_until:
                return False
            self._closed_until = self._clock() + OPEN_SEC
            return True

    @property
    def is_open(self) -> bool:
        """Whether calls are stopped now; asking lets none through."""
        with self._lock:
            return self._failures >= FAILURES_TO_OPEN

    def succeeded(self) -> None:
        """Record that a call went through."""
        with self._lock:
            self._failures = 0

    def failed(self) -> None:
        """Record that a call did not."""
        with self._lock:
            self._failures += 1
            self._closed_until = self._clock() + OPEN_SEC
