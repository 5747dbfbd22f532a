"""Callbacks that were turned away: counted for whoever watches, and told of when they are many."""

import time
from collections import defaultdict, deque
from collections.abc import Callable
from threading import Lock

import structlog
from prometheus_client import Counter

WINDOW_SEC = 300.0
"""As long as a signature is fresh: a wrong secret is seen before the first retries become stale."""

REJECTED = Counter(
    "khronika_callbacks_rejected_total",
    "Callbacks that were answered with 401, by why.",
    ["provider", "reason"],
)

log = structlog.get_logger()


class RejectionAlarm:
    """Says so, once per window, when an account's callbacks are turned away in numbers.

    Each process counts for itself; across processes, the counter is for Prometheus to watch.

    Args:
        threshold: Rejections within ``WINDOW_SEC`` from which on it is an error.
    """

    def __init__(self, threshold: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._latest: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=threshold))
        self._said_at: dict[str, float] = {}

    def note(self, provider: str, reason: str) -> None:
        """Count one rejection of a configured account."""
        REJECTED.labels(provider, reason).inc()
        if self._is_due(provider):
            log.error(
                "callbacks_rejected",
                provider=provider,
                rejected=self._latest[provider].maxlen,
                within_sec=WINDOW_SEC,
                latest_reason=reason,
            )

    def _is_due(self, provider: str) -> bool:
        now = self._clock()
        with self._lock:
            latest = self._latest[provider]
            latest.append(now)
            many = len(latest) == latest.maxlen and now - latest[0] <= WINDOW_SEC
            quiet = now - self._said_at.get(provider, float("-inf")) >= WINDOW_SEC
            if many and quiet:
                self._said_at[provider] = now
            return many and quiet
