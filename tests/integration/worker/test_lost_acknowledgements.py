"""A worker whose acknowledgements are lost takes messages all the same, once the broker answers."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from pipeline.config.task_names import wake_submit
from tests.chaos.proxy import Proxy, Wire, address_of
from tests.conditions import wait_until
from tests.integration.pipeline.conftest import (
    World,
    outputs_folder,
    provider,
    services,
    settings,
    world,
)
from tests.worker_process import SUBMITTING, send, worker_process

__all__ = ["outputs_folder", "provider", "services", "settings", "world"]

MANY = 8
"""Connections that a worker begins in vain within half a minute."""


@pytest.fixture
def wire(world: World) -> Iterator[Proxy]:
    """The only way of the worker to the broker."""
    broker = urlsplit(world.services.settings.broker.broker_url.get_secret_value())
    assert broker.hostname
    assert broker.port
    address = (broker.hostname, broker.port)
    with closing(Proxy(lambda: address)) as proxy:
        yield proxy


@pytest.fixture
def log(world: World, wire: Proxy, tmp_path: Path) -> Iterator[Path]:
    """The log of a real worker of one process, behind the wire."""
    url = world.services.settings.broker.broker_url.get_secret_value()
    path, there = tmp_path / "worker.log", urlsplit(url).netloc.rpartition("@")[2]
    behind = url.replace(there, address_of(wire))
    with worker_process(path, *SUBMITTING, BROKER_URL=behind):
        yield path


def is_over(log: Path, wire: Proxy) -> bool:
    """Tell whether the worker has ended its task in vain, or stands at a heartbeat since.

    Celery repeats a heartbeat without end and without a word, and does nothing else meanwhile.
    """
    said = log.read_text(errors="replace")
    return "Couldn't ack" in said or ("task done" in said and wire.refused > MANY)


def test_a_worker_that_could_not_acknowledge_takes_the_next_message(
    world: World, wire: Proxy, log: Path
) -> None:
    def cut(_: UUID) -> None:
        wire.set(Wire.RESET)

    first = world.create()
    world.provider.before_answer = cut
    send(world, wake_submit(first))
    wait_until(lambda: is_over(log, wire), log)
    assert "submitted" in world.types(first)
    world.provider.before_answer = None
    wire.set(Wire.PASS)
    second = world.create()  # not before: the worker would try to wake the owner's next video

    send(world, wake_submit(second))
    wait_until(lambda: "submitted" in world.types(second), log)
