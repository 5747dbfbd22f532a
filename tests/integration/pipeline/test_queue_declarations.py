"""Every process declares a queue alike: RabbitMQ refuses a second declaration that differs."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from importlib import import_module
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from kombu.transport.memory import Channel

from api.wiring.publisher import Publisher
from pipeline.config.task_names import QUEUE_RECONCILE, QUEUE_SUBMIT, QUEUE_SWEEP, wake_submit
from pipeline.runtime.task_publishing import count_waiting, make_producer, send_wake
from pipeline.runtime.wakes import Wake
from tests.integration.api.conftest import environment
from worker.backlog import spare

__all__ = ["environment"]

Declared = dict[str, Any]


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> list[Declared]:
    """The declarations that reach a broker in this process, as the transport is given them."""
    seen: list[Declared] = []

    class Noting(Channel):
        def queue_declare(self, queue: Any = None, passive: Any = False, **options: Any) -> Any:
            seen.append({"queue": queue, "passive": passive, **options})
            return super().queue_declare(queue, passive, **options)  # type: ignore[no-untyped-call]

    monkeypatch.setattr("kombu.transport.memory.Transport.Channel", Noting)
    return seen


@pytest.fixture
def producer(declared: list[Declared]) -> Iterator[Celery]:
    producer = make_producer("test", "memory://", key_prefix="", message_key="k")
    producer.conf.broker_transport_options = {}
    yield producer
    producer.close()


def of_count(producer: Celery, queue: str, declared: list[Declared]) -> Declared:
    declared.clear()
    with producer.connection_for_read() as connection:
        count_waiting(connection.default_channel, queue)
    [found] = declared
    return found


def of_consumer(producer: Celery, queue: Any, declared: list[Declared]) -> Declared:
    declared.clear()
    with producer.connection_for_read() as connection:
        queue.bind(connection.default_channel).declare()
    [found] = declared
    return found


@pytest.mark.parametrize("queue", [QUEUE_SUBMIT, QUEUE_RECONCILE, QUEUE_SWEEP])
def test_the_workers_queue_is_declared_as_its_messages_are_counted(
    environment: Mapping[str, str], producer: Celery, declared: list[Declared], queue: str
) -> None:
    del environment
    consumed = {each.name: each for each in import_module("celeryconfig").task_queues}
    counted = of_count(producer, queue, declared)
    assert of_consumer(producer, consumed[queue], declared) == counted
    assert (counted["durable"], counted["exclusive"], counted["auto_delete"]) == (
        True,
        False,
        False,
    )


def test_a_publisher_declares_as_the_messages_are_counted(
    producer: Celery, declared: list[Declared]
) -> None:
    send_wake(producer, wake_submit(uuid4()))
    [sent] = declared
    assert sent == of_count(producer, QUEUE_SUBMIT, declared)


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker in this process that has each queue otherwise than it is declared."""

    class Refusing(Channel):
        def queue_declare(self, *_: Any, **__: Any) -> Any:
            raise self.connection.channel_errors[0]

    monkeypatch.setattr("kombu.transport.memory.Transport.Channel", Refusing)


@pytest.mark.usefixtures("refusing")
def test_a_sweep_goes_on_where_the_broker_refuses_the_count() -> None:
    wakes = [Wake(QUEUE_SUBMIT, "some.task", uuid4())]
    sender = Celery("test", broker="memory://", set_as_current=False)
    assert spare(sender, wakes) == wakes
    sender.close()


@pytest.mark.usefixtures("refusing")
def test_a_broker_that_refuses_our_queues_is_not_called_sound() -> None:
    with closing(Publisher("memory://", "k")) as publisher:
        assert not publisher.is_reachable()
