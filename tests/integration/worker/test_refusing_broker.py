"""Workers wait for a broker that answers and refuses, as for one that is away.

A failed-over Redis is a replica and answers READONLY; one without its replicas answers
NOREPLICAS, and a full one OOM.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
import redis

from pipeline.config.task_names import wake_submit
from stack.broker import running_broker
from stack.home import Home
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

REFUSED = "the broker refuses"


@dataclass(frozen=True)
class Refusal:
    """The commands that make a broker refuse, and those that end it."""

    begin: tuple[str, ...]
    end: tuple[str, ...]


REFUSALS: Mapping[str, Refusal] = {
    "READONLY": Refusal(("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    "NOREPLICAS": Refusal(
        ("CONFIG", "SET", "min-replicas-to-write", "1"),
        ("CONFIG", "SET", "min-replicas-to-write", "0"),
    ),
    "OOM": Refusal(("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
}


@pytest.fixture
def broker_url(tmp_path: Path) -> Iterator[str]:
    """A broker of this test's own: a refusal is of the whole server."""
    folder = tmp_path / "home"
    folder.mkdir()
    home = Home(folder)
    with home.held(), running_broker(home, password="p" * 24, throwaway=True) as broker:
        yield broker.url()


@pytest.fixture
def tell(broker_url: str) -> Iterator[Callable[[tuple[str, ...]], None]]:
    """Sends a command to the broker."""
    with closing(redis.Redis.from_url(broker_url)) as client:
        yield lambda command: client.execute_command(*command)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_worker_waits_for_a_broker_that_refuses_and_takes_the_next_message(
    world: World, tell: Callable[[tuple[str, ...]], None], refusal: Refusal, tmp_path: Path
) -> None:
    def refuse(_: UUID) -> None:
        world.provider.before_answer = None
        tell(refusal.begin)

    first, second, third = world.create(), world.create(), world.create()
    world.provider.before_answer = refuse
    log = tmp_path / "worker.log"
    with worker_process(log, *SUBMITTING, "--loglevel", "INFO") as process:
        send(world, wake_submit(first))
        send(world, wake_submit(second))  # waits until the first is acknowledged, or cannot be
        wait_until(lambda: REFUSED in log.read_text(errors="replace"), log)
        assert "submitted" in world.types(first)
        assert process.poll() is None
        tell(refusal.end)
        send(world, wake_submit(third))
        wait_until(lambda: "submitted" in world.types(third), log)
        assert process.poll() is None
