"""Which messages become tasks: one that is not of Celery's own form is refused, and no more.

Celery unpacks a message's body while it makes the task's request. A body that is JSON and yet of
another form raises there, which ends the worker; the message goes back to its queue, and ends the
next one. Whoever can write to the broker could hold the workers down with a single message.
"""

from typing import Any

from celery import Task
from celery.worker.strategy import default


def admit(task: Task, app: Any, consumer: Any, **options: Any) -> Any:
    """Celery's own strategy, which refuses what it cannot unpack instead of giving up."""
    handle = default(task, app, consumer, **options)

    def handler(message: Any, body: Any, *rest: Any, **more: Any) -> Any:
        try:
            return handle(message, body, *rest, **more)
        except (ValueError, TypeError, AttributeError, LookupError):
            return consumer.on_unknown_message(body, message)

    return handler


class AdmittedTask(Task):  # type: ignore[misc]  # Celery has no types
    """A task whose messages pass ``admit``."""

    abstract = True
    Strategy = "worker.admission:admit"
