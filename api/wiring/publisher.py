"""Waking workers after a commit: best effort, bounded in time, never an error of the request.

The sweep owns delivery. A message saves the seconds until the sweep would have found the row; a
broker that is down or silent may cost a request ``4 * TIMEOUT_SEC`` at worst, and with the
breaker open nothing at all.
"""

from collections.abc import Iterable, Mapping

import structlog
from celery import Celery
from kombu.exceptions import KombuError
from prometheus_client import Counter

from api.wiring.publish_breaker import Breaker
from pipeline.domain.values import BROKER_KEY_PREFIX, Wake
from pipeline.runtime.crash import Boundary, crash_point

TIMEOUT_SEC = 0.2
"""Each of connecting, writing and reading; a broker on the same network answers in 1 ms."""

POOL_LIMIT = 128
"""More than a process has threads."""

log = structlog.get_logger()

PUBLISHES = Counter("khronika_publishes", "Wakes sent to the broker, by outcome.", ["outcome"])


class Publisher:
    """Sends tasks by name. Connects on first use; safe to share between threads."""

    def __init__(self, broker_url: str, breaker: Breaker | None = None) -> None:
        self._breaker = breaker or Breaker()
        self._app = producer(broker_url)
        connection = self._app.connection_for_write()
        self._errors = (
            KombuError,
            OSError,
            *connection.connection_errors,
            *connection.channel_errors,
        )

    def publish(self, wakes: Iterable[Wake]) -> None:
        """Send what a use case wants woken. A failure is logged and counted, never raised."""
        crash_point(Boundary.REQUEST_COMMITTED)
        for wake in wakes:
            PUBLISHES.labels(self._send(wake)).inc()
        crash_point(Boundary.REQUEST_PUBLISHED)

    def _send(self, wake: Wake) -> str:
        if not self._breaker.allows():
            return "skipped"
        try:
            self._app.send_task(
                wake.task, args=[str(wake.id)], queue=wake.queue, retry=False, ignore_result=True
            )
        except Exception as error:  # noqa: BLE001 - the row is committed: nothing may undo the 202
            self._breaker.failed()
            log.warning("publish_failed", task=wake.task, error=type(error).__name__)
            return "failed"
        self._breaker.succeeded()
        return "sent"

    def depths(self, queues: Iterable[str]) -> Mapping[str, int] | None:
        """Messages waiting in each queue; None when the broker does not answer in time."""
        try:
            with self._app.connection_for_read() as connection:
                declare = connection.default_channel.queue_declare
                # As Celery declares them: makes no other queue than the worker would. A passive
                # declaration would do, but kombu forgets the key prefix in it.
                return {name: int(declare(name, durable=True).message_count) for name in queues}
        except self._errors:
            return None

    @property
    def is_paused(self) -> bool:
        """Whether this process leaves the broker alone for now, because it has failed lately."""
        return self._breaker.is_open

    def close(self) -> None:
        """Let every connection go."""
        self._app.close()

    def is_reachable(self) -> bool:
        """Whether the broker answers now."""
        return self.depths(()) is not None


def producer(broker_url: str) -> Celery:
    """A Celery app that only sends, with transport options of its own.

    The worker's patience with its broker would hold a request: ``max_retries`` 0, because without
    it kombu reconnects to a silent broker for seconds before it gives up.
    """
    app = Celery("khronika-api", set_as_current=False)
    app.conf.update(
        broker_url=broker_url,
        broker_connection_timeout=TIMEOUT_SEC,
        broker_transport_options={
            "global_keyprefix": BROKER_KEY_PREFIX,
            "max_retries": 0,
            "socket_timeout": TIMEOUT_SEC,
            "socket_connect_timeout": TIMEOUT_SEC,
            # RabbitMQ's names for the same.
            "read_timeout": TIMEOUT_SEC,
            "write_timeout": TIMEOUT_SEC,
        },
        # Waiting for a connection that others hold has no bound: there is one for every thread.
        broker_pool_limit=POOL_LIMIT,
        task_ignore_result=True,
        task_serializer="json",
    )
    return app
