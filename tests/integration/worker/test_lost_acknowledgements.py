"""A worker whose acknowledgements are lost takes messages all the same, once the broker answers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from pipeline.config.task_names import QUEUE_SUBMIT
from tests.chaos.proxy import Proxy, Wire, address_of
from tests.integration.pipeline.conftest import (
    World,
    outputs_folder,
    provider,
    services,
    settings,
    world,
)
from tests.integration.worker.test_draining import CHECKOUT, PATIENCE_SEC, send

__all__ = ["outputs_folder", "provider", "services", "settings", "world"]


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
    with path.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-W", "ignore", "-m", "celery", "-A", "worker.app", "worker"),
                *("--queues", QUEUE_SUBMIT, "--concurrency", "1"),
            ],
            cwd=CHECKOUT,
            env={**os.environ, "BROKER_URL": url.replace(there, address_of(wire))},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        yield path
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_worker_that_could_not_acknowledge_takes_the_next_message(
    world: World, wire: Proxy, log: Path
) -> None:
    def cut(_: UUID) -> None:
        wire.set(Wire.RESET)

    first, second = world.create(), world.create()
    world.provider.before_answer = cut
    send(world, first)
    wait_until(lambda: "Couldn't ack" in log.read_text(errors="replace"), log)
    assert "submitted" in world.types(first)
    world.provider.before_answer = None
    wire.set(Wire.PASS)

    send(world, second)
    wait_until(lambda: "submitted" in world.types(second), log)


def wait_until(is_so: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SEC
    while not is_so():
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-4000:]
        time.sleep(0.1)
