"""The alarm for rejected callbacks: each is counted, and many within minutes are an error."""

import time
from collections import defaultdict, deque
from collections.abc import Callable
from threading import Lock

import structlog
from prometheus_client import Counter

WINDOW_SEC = 300.0
"""As long as a signature is fresh: a wrong secret is noticed before the first retries are stale."""

REJECTED = Counter(
    "khronika_callbacks_rejected_total",
    "Callbacks that were answered with 401, by reason.",
    ["provider", "reason"],
)

log = structlog.get_logger()


class RejectionAlarm:
    """Logs an error, once per window, if many callbacks of an account are rejected.

    Each process counts its own; across processes, Prometheus watches the counter.

    Args:
        threshold: The number of rejections within ``WINDOW_SEC`` that is an error.
    """

    def __init__(self, threshold: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._latest: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=threshold))
        self._alarmed_at: dict[str, float] = {}

    def record(self, provider: str, reason: str) -> None:
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
            is_many = len(latest) == latest.maxlen and now - latest[0] <= WINDOW_SEC
            is_quiet = now - self._alarmed_at.get(provider, float("-inf")) >= WINDOW_SEC
            if is_many and is_quiet:
                self._alarmed_at[provider] = now
            return is_many and is_quiet
