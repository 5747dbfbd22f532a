"""The publisher of wakes after a commit: best effort, bounded in time, never an error of a request.

The sweep owns delivery. A message saves the seconds until the sweep finds the row. A broker that is
down or silent delays a request by at most ``4 * TIMEOUT_SEC``; with the breaker open, not at all.
"""

from collections.abc import Iterable, Mapping

import structlog
from prometheus_client import Counter

from api.wiring.publish_breaker import Breaker
from pipeline.config.task_names import BROKER_KEY_PREFIX, QUEUES
from pipeline.runtime.task_publishing import (
    broker_errors,
    count_waiting,
    make_producer,
    send_wake,
)
from pipeline.runtime.wakes import Wake

log = structlog.get_logger()

PUBLISHES = Counter("khronika_publishes", "Wakes sent to the broker, by outcome.", ["outcome"])


class Publisher:
    """Sends tasks by name; connects on first use; safe for any number of threads."""

    def __init__(self, broker_url: str, message_key: str, breaker: Breaker | None = None) -> None:
        self._breaker = breaker or Breaker()
        self._app = make_producer(
            "khronika-api", broker_url, key_prefix=BROKER_KEY_PREFIX, message_key=message_key
        )
        self._errors = broker_errors(self._app)

    def publish(self, wakes: Iterable[Wake]) -> None:
        """Send the wakes of a use case; a failure is logged and counted, never raised."""
        for wake in wakes:
            PUBLISHES.labels(self._send(wake)).inc()

    def _send(self, wake: Wake) -> str:
        if not self._breaker.allows():
            return "skipped"
        try:
            send_wake(self._app, wake)
        except Exception as error:  # noqa: BLE001 - the row is committed: nothing may undo the 202
            self._breaker.failed()
            log.warning("publish_failed", task=wake.task, error=type(error).__name__)
            return "failed"
        self._breaker.succeeded()
        return "sent"

    def depths(self, queues: Iterable[str]) -> Mapping[str, int] | None:
        """Return the messages in each queue, or None if the broker does not answer in time."""
        try:
            with self._app.connection_for_read() as connection:
                channel = connection.default_channel  # connects, even if no queue is asked for
                return {queue: count_waiting(channel, queue) for queue in queues}
        except self._errors:
            return None

    @property
    def is_paused(self) -> bool:
        """True while this process does not call the broker, because calls have failed recently."""
        return self._breaker.is_open

    def close(self) -> None:
        """Close every connection."""
        self._app.close()

    def is_reachable(self) -> bool:
        """Return True if the broker answers, and our queues are as we declare them."""
        return self.depths(QUEUES) is not None
