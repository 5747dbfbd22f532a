"""Which queues have enough to do already, so that a sweep adds nothing to them."""

from collections.abc import Iterable

from celery import Celery
from kombu.exceptions import OperationalError

from pipeline.records.due import BATCH
from pipeline.runtime.task_publishing import count_waiting
from pipeline.runtime.wakes import Wake

DEEP = BATCH
"""Messages that wait in a queue from which on a sweep adds none: what it would wake at once.

Every row that is due is woken by every sweep until a worker has come for it. Where workers are
slower than that, the same wakes would pile up by the thousand, and the workers would do nothing
but find out that there is nothing to do: a backlog that feeds itself and never ends.
"""


def spare(app: Celery, wakes: Iterable[Wake]) -> list[Wake]:
    """The wakes whose queue is not deep. What is left out is still due: a later sweep finds it."""
    wakes = list(wakes)
    deep = {queue for queue in {wake.queue for wake in wakes} if _depth(app, queue) >= DEEP}
    return [wake for wake in wakes if wake.queue not in deep]


def _depth(app: Celery, queue: str) -> int:
    try:
        with app.connection_or_acquire() as connection:
            return count_waiting(connection.default_channel, queue)
    except OperationalError:
        return 0  # the publish says the same, and is allowed to fail
