"""Waking tasks by name: best effort, because the sweep finds whatever was not woken."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from celery import Celery
from kombu.exceptions import OperationalError

ENCODE = "transcoder.encode"
DELIVER = "transcoder.deliver"
SWEEP = "transcoder.sweep"

ENCODE_QUEUE = "transcode"
SWEEP_QUEUE = "transcoder-sweep"

KEY_PREFIX = "transcoder:"
"""Before every key in the broker, which others may use too."""

_QUEUES = {ENCODE: ENCODE_QUEUE, DELIVER: SWEEP_QUEUE, SWEEP: SWEEP_QUEUE}
_PATIENCE_SEC = 0.2  # a request is waiting

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wake:
    """A task to start, and the row it is about."""

    task: str
    id: UUID


class Dispatcher:
    """Publishes wakes without ever holding its caller up for long."""

    def __init__(self, broker_url: str) -> None:
        self._celery = Celery("transcoder", broker=broker_url, set_as_current=False)
        self._celery.conf.update(
            broker_transport_options={
                "global_keyprefix": KEY_PREFIX,
                "socket_timeout": _PATIENCE_SEC,
                "socket_connect_timeout": _PATIENCE_SEC,
                "max_retries": 0,  # else a silent broker is asked again for seconds
            },
            task_ignore_result=True,
        )

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._celery.close()

    def send(self, wakes: Iterable[Wake]) -> None:
        """Publish; a broker that is away is no error, it only delays."""
        for wake in wakes:
            try:
                self._celery.send_task(
                    wake.task, args=[str(wake.id)], queue=_QUEUES[wake.task], retry=False
                )
            except OperationalError as error:
                _log.warning("broker away, left to the sweep: %s %s: %s", wake.task, wake.id, error)
                return
