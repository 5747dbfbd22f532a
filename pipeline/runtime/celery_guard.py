"""Guard of a worker's messages: it refuses messages of a foreign form, and the worker runs on.

Celery trusts a message's headers and body. A body of another form, or a header of another type,
raises in the worker's loop and ends or silences the worker; the message returns to its queue and
ends the next worker. A client with write access to the broker could stop all workers with one
message. The guard therefore passes only the headers that our tasks need, and refuses a message
whose handling raises.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from celery.worker.consumer import Consumer

_KEPT = ("id", "task", "expires", "root_id", "parent_id", "argsrepr", "kwargsrepr", "origin")
"""Headers that pass, if they are text. A message may not set time limits, other names, groups or
distant instants."""

_JSON = "application/json"


class Message(Protocol):
    """The part of kombu's message that the guard reads."""

    body: bytes | str
    content_type: str | None
    headers: Any


Handler = Callable[[Any], Any]


class AdmittingConsumer(Consumer):  # type: ignore[misc]  # Celery has no types
    """Consumer of a worker whose handler refuses foreign messages; `worker_consumer` names it."""

    def create_task_handler(self, *args: Any, **options: Any) -> Any:
        """Make the handler that Celery calls with each message."""
        handle = super().create_task_handler(*args, **options)
        return admitting(handle, lambda message: self.on_unknown_message(None, message))


def admitting(handle: Handler, refuse: Handler) -> Handler:
    """Make a handler of messages that refuses a message instead of raising for it.

    Args:
        handle: Celery's own handler, which finds the task and gives it to a process.
        refuse: Removes a message from its queue.
    """

    def handler(message: Message) -> Any:
        try:
            message.headers = _ours(message)
            return handle(message)
        except (ValueError, TypeError, AttributeError, LookupError):
            return refuse(message)

    return handler


def _ours(message: Message) -> Mapping[str, str]:
    """Return the headers that pass.

    Raises:
        ValueError: None of our clients publishes such a message.
    """
    headers = {name: value for name in _KEPT if isinstance(value := message.headers.get(name), str)}
    if "id" not in headers or "task" not in headers:
        raise ValueError("names no task")
    # In an older form of message, the body is an object that repeats the headers.
    if message.content_type == _JSON and message.body[:1] not in ("[", b"["):
        raise ValueError("has no list of arguments")
    return headers | {"lang": "py"}
