"""Publishing of wakes through Celery: best effort, because a sweep finds every row that is due."""

from collections.abc import Sequence
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from kombu.entity import Exchange, Queue
from kombu.exceptions import KombuError
from kombu.utils.json import dumps

from pipeline.runtime.message_signatures import HEADER, KEY_SETTING, sign_message
from pipeline.runtime.wakes import Wake

TIMEOUT_SEC = 0.2
"""Each of connecting, writing and reading; a broker on the same network answers in 1 ms."""

POOL_LIMIT = 128
"""More than a process has threads."""


SIGNING = "pipeline.runtime.task_publishing:SigningMessages"
"""The maker of messages that an app which publishes names as its ``amqp``."""


class SigningMessages(AMQP):  # type: ignore[misc]  # Celery has no types
    """Celery's maker of messages, which signs each of them with the key of the app's settings."""

    def as_task_v2(self, *args: Any, **options: Any) -> Any:
        """Make a message and sign it; the body is encoded here as kombu encodes it later."""
        message = super().as_task_v2(*args, **options)
        key = self.app.conf[KEY_SETTING]
        body = dumps(message.body).encode()  # type: ignore[no-untyped-call]  # kombu has no types
        message.headers[HEADER] = sign_message(key, message.headers, body)
        return message


def make_producer(name: str, broker_url: str, *, key_prefix: str, message_key: str) -> Celery:
    """Make a Celery app that only sends, and never delays a request for long.

    Without ``max_retries`` 0, kombu reconnects to a silent broker for seconds.

    Args:
        name: Shown in the messages' origin.
        broker_url: Any broker that Celery supports.
        key_prefix: Prefix of every key in a Redis broker; the worker's must be the same.
        message_key: Key that signs the messages; the worker's must be the same.
    """
    app = Celery(name, set_as_current=False, amqp=SIGNING)
    app.conf.update(
        broker_url=broker_url,
        broker_connection_timeout=TIMEOUT_SEC,
        broker_transport_options={
            "global_keyprefix": key_prefix,
            "max_retries": 0,
            "socket_timeout": TIMEOUT_SEC,
            "socket_connect_timeout": TIMEOUT_SEC,
            # RabbitMQ's names of the two timeouts.
            "read_timeout": TIMEOUT_SEC,
            "write_timeout": TIMEOUT_SEC,
        },
        # Each thread has its own connection, because the wait for another's has no limit.
        broker_pool_limit=POOL_LIMIT,
        task_ignore_result=True,
        task_serializer="json",
        **{KEY_SETTING: message_key},
    )
    return app


def task_queue(name: str) -> Queue:
    """Make the one declaration of a queue, which every process uses.

    RabbitMQ closes the channel of a client that declares a queue otherwise than it is (406), and
    kombu's channels declare one that is deleted after its last consumer unless they are told.
    """
    exchange = Exchange(name, type="direct", durable=True)  # type: ignore[no-untyped-call]
    return Queue(  # type: ignore[no-untyped-call]  # kombu has no types
        name, exchange, routing_key=name, durable=True, exclusive=False, auto_delete=False
    )


def broker_errors(app: Celery) -> tuple[type[Exception], ...]:
    """Return the errors of a broker that is away, or that answers and refuses."""
    connection = app.connection_for_write()
    return KombuError, OSError, *connection.connection_errors, *connection.channel_errors


def send_wake(app: Celery, wake: Wake) -> None:
    """Publish one wake.

    Raises:
        Exception: One of ``broker_errors``.
    """
    queue = task_queue(wake.queue)
    app.send_task(wake.task, args=[str(wake.id)], queue=queue, retry=False, ignore_result=True)


def send_wakes(app: Celery, wakes: Sequence[Wake]) -> Sequence[Wake]:
    """Publish wakes in order; return those left over, since the first failure ends the sending."""
    for number, wake in enumerate(wakes):
        try:
            send_wake(app, wake)
        except broker_errors(app):
            return wakes[number:]
    return ()


def count_waiting(channel: Any, queue: str) -> int:
    """Count the messages that wait in a queue, on a channel of kombu's.

    A passive declaration would not create the queue, but kombu omits the key prefix in it.
    """
    bound: Any = task_queue(queue).bind(channel)  # type: ignore[no-untyped-call]  # kombu's
    return int(bound.queue_declare().message_count)
