"""Wakes on a real broker, and on none."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery

from pipeline.runtime.task_publishing import (
    count_waiting,
    make_producer,
    send_wake,
    send_wakes,
)
from pipeline.runtime.wakes import Wake

NO_BROKER = "redis://:secret@127.0.0.1:1/0"
WAKES = [Wake("some-queue", "some.task", uuid4()) for _ in range(50)]


def waiting(app: Celery, queue: str) -> int:
    with app.connection_for_read() as connection:
        return count_waiting(connection.default_channel, queue)


@pytest.fixture
def producer(broker_url: str) -> Iterator[Celery]:
    app = make_producer("test", broker_url, key_prefix="some:", message_key="k")
    yield app
    app.close()


def test_every_wake_waits_in_its_queue_under_the_key_prefix(
    producer: Celery, broker_url: str
) -> None:
    assert list(send_wakes(producer, WAKES[:3])) == []
    send_wake(producer, WAKES[3])

    assert waiting(producer, "some-queue") == 4
    other = make_producer("test", broker_url, key_prefix="other:", message_key="k")
    assert waiting(other, "some-queue") == 0
    other.close()


class CountingProducer(Celery):  # type: ignore[misc]  # Celery has no types
    sent = 0

    def send_task(self, *arguments: Any, **options: Any) -> Any:
        self.sent += 1
        return super().send_task(*arguments, **options)


def test_the_first_failure_ends_the_sending_and_every_wake_is_left_over() -> None:
    app = CountingProducer("test", broker=NO_BROKER, set_as_current=False)
    app.conf.broker_transport_options = {"max_retries": 0}

    assert list(send_wakes(app, WAKES)) == WAKES

    assert app.sent == 1
    app.close()
