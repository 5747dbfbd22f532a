"""Which task messages a worker takes: one of another form than ours is refused, and no more.

Celery believes a message's headers and body. A body of another form, or a header of another type,
raises in the worker's loop, which ends or silences the worker; the message goes back to its queue,
and ends the next one. Whoever can write to the broker could hold the workers down with one message.
Therefore only those headers go on that a task of ours needs, and what raises all the same is
refused. Nothing here knows Celery: each of its apps has a consumer that asks.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

_KEPT = ("id", "task", "expires", "root_id", "parent_id", "argsrepr", "kwargsrepr", "origin")
"""Text, all of it. Limits of time, other names, groups and instants in ten years are not for a
message to say."""

_JSON = "application/json"


class Message(Protocol):
    """What we read of one of kombu's."""

    body: bytes | str
    content_type: str | None
    headers: Any


Handler = Callable[[Any], Any]


def admitting(handle: Handler, refuse: Handler) -> Handler:
    """A worker's handler of messages, that outlives each.

    Args:
        handle: Celery's own: finds the task, and gives it to a process.
        refuse: Takes a message off its queue for good.
    """

    def handler(message: Message) -> Any:
        try:
            message.headers = _ours(message)
            return handle(message)
        except (ValueError, TypeError, AttributeError, LookupError):
            return refuse(message)

    return handler


def _ours(message: Message) -> Mapping[str, str]:
    """The headers that go on.

    Raises:
        ValueError: it is no message that a client of ours publishes.
    """
    headers = {name: value for name in _KEPT if isinstance(value := message.headers.get(name), str)}
    if "id" not in headers or "task" not in headers:
        raise ValueError("names no task")
    # An older form has an object for a body, and all that headers say in it once more.
    if message.content_type == _JSON and message.body[:1] not in ("[", b"["):
        raise ValueError("has no list of arguments")
    return headers | {"lang": "py"}
