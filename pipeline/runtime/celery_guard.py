"""Guard of a worker's messages: no forged message, lost acknowledgement or refusal stops a worker.

Celery trusts whoever can write to the broker. A message may name any task and any row; a body of
another form, or a header of another type, raises in the worker's loop and ends or silences the
worker; the message returns to its queue and ends the next worker. Other messages than tasks cancel
consumers and revoke tasks. The guard therefore takes messages only that our publishers have signed,
passes only the headers that our tasks need, and refuses a message whose handling raises. Mingle and
gossip, with which workers tell each other what to revoke and run, are off for every command line.

A worker takes as many messages as it may leave unacknowledged. Celery logs an acknowledgement that
fails, and never makes it again: where a broker restarts while every process is busy, the worker
would then take no message more, over a connection that looks sound. The guard has it connect again,
which begins a new count.

A broker may answer and refuse: a failed-over Redis is a replica (READONLY), lacks its replicas
(NOREPLICAS) or is full (OOM); RabbitMQ closes a channel. Celery ends a worker for that. The guard
takes it for a lost connection, and tries again every ``REFUSED_SEC``.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from celery.worker.consumer import Consumer

from pipeline.runtime.message_signatures import ACCEPTED_SETTING, KEY_SETTING, verify_message
from pipeline.runtime.signed_tokens import Keys

_KEPT = ("id", "task", "expires", "root_id", "parent_id", "argsrepr", "kwargsrepr", "origin")
"""Headers that pass, if they are text. A message may not set time limits, other names, groups or
distant instants."""

_JSON = "application/json"

REFUSED_SEC = 1.0
"""Seconds until a worker connects again to a broker that answered and refused."""

LOG_EVERY_SEC = 60.0
"""Seconds between two lines about refused messages."""

_log = logging.getLogger(__name__)


class Message(Protocol):
    """The part of kombu's message that the guard reads."""

    body: bytes | str
    content_type: str | None
    headers: Any


Handler = Callable[[Any], Any]


class AdmittingConsumer(Consumer):  # type: ignore[misc]  # Celery has no types
    """Consumer of a worker whose handler refuses foreign messages; `worker_consumer` names it."""

    def __init__(
        self, *args: Any, worker_options: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        closed = {"without_gossip": True, "without_mingle": True}
        super().__init__(*args, worker_options={**(worker_options or {}), **closed}, **options)
        self._refused = RefusedMessages()
        refusals: tuple[type[Exception], ...] = self.channel_errors
        self.connection_errors = (*self.conninfo.connection_errors, *refusals)

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Log a failure to connect; wait if the broker has answered."""
        super().on_connection_error_before_connected(exc)
        self._wait_after(exc)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Leave a connection; wait if the broker has answered."""
        super().on_connection_error_after_connected(exc)
        self._wait_after(exc)

    def _wait_after(self, error: Exception) -> None:
        if isinstance(error, self.channel_errors):
            _log.warning("the broker refuses, trying again: %s", type(error).__name__)
            time.sleep(REFUSED_SEC)

    def connect(self) -> Any:
        """Connect to the broker; an acknowledgement that fails ends this connection."""
        connection = super().connect()
        channel = connection.default_channel
        channel.Message = reporting_lost_ones(
            channel.Message, lambda: self.call_soon(self._reconnect, connection)
        )
        return connection

    def _reconnect(self, connection: Any) -> None:
        if connection is self.connection:  # else another failure has done it already
            raise ConnectionError("a message could not be acknowledged")

    def create_task_handler(self, *args: Any, **options: Any) -> Any:
        """Make the handler that Celery calls with each message."""
        handle = super().create_task_handler(*args, **options)
        return admitting(handle, self._refuse, keys=self._keys())

    def _keys(self) -> Keys:
        accepted: Keys = self.app.conf.get(ACCEPTED_SETTING) or self.app.conf[KEY_SETTING]
        return accepted

    def _refuse(self, message: Any) -> None:
        self._refused.record()
        message.reject_log_error(_log, self.connection_errors)


def reporting_lost_ones(message: type[Any], on_lost: Callable[[], object]) -> type[Any]:
    """Make a class of messages that reports each one whose acknowledgement or refusal failed.

    Args:
        message: The transport's own class.
        on_lost: Called after Celery has logged the failure.
    """

    class Reporting(message):  # type: ignore[misc]  # kombu has no types
        def ack_log_error(self, *args: Any, **options: Any) -> None:
            super().ack_log_error(*args, **options)
            self._report()

        def reject_log_error(self, *args: Any, **options: Any) -> None:
            super().reject_log_error(*args, **options)
            self._report()

        def _report(self) -> None:
            if not self.acknowledged:
                on_lost()

    return Reporting


class RefusedMessages:
    """Count of refused messages, logged once a minute for however many there are."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._count = 0
        self._logged_at = float("-inf")

    def record(self) -> None:
        """Count one message; log the number so far unless that was done within a minute."""
        self._count += 1
        now = self._clock()
        if now - self._logged_at >= LOG_EVERY_SEC:
            self._logged_at = now
            _log.warning("task messages refused: %d since the start", self._count)


def admitting(handle: Handler, refuse: Handler, *, keys: Keys) -> Handler:
    """Make a handler of messages that refuses a message instead of raising for it.

    Args:
        handle: Celery's own handler, which finds the task and gives it to a process.
        refuse: Removes a message from its queue.
        keys: Keys of our publishers' signatures.
    """

    def handler(message: Message) -> Any:
        try:
            verify_message(keys, message.headers, message.body)
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
