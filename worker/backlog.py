"""The backlog of the queues: a sweep adds nothing to a queue that has enough to do."""

from collections.abc import Iterable

from celery import Celery

from pipeline.records.due import BATCH
from pipeline.runtime.task_publishing import broker_errors, count_waiting
from pipeline.runtime.wakes import Wake

DEEP = BATCH
"""Messages in a queue from which on a sweep adds none; as many as one sweep wakes.

Every sweep wakes every due row until a worker has taken it. If the workers are slower than the
sweeps, the same wakes would pile up by the thousand, and the workers would only find that there is
nothing to do: a backlog that feeds itself and never ends.
"""


def spare(app: Celery, wakes: Iterable[Wake]) -> list[Wake]:
    """Return the wakes whose queue is not deep; a later sweep finds the rest."""
    wakes = list(wakes)
    deep = {queue for queue in {wake.queue for wake in wakes} if _depth(app, queue) >= DEEP}
    return [wake for wake in wakes if wake.queue not in deep]


def _depth(app: Celery, queue: str) -> int:
    try:
        with app.connection_or_acquire() as connection:
            return count_waiting(connection.default_channel, queue)
    except broker_errors(app):
        return 0  # publishing would fail in the same way, and may
