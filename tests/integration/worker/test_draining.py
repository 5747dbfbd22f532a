"""A worker that is told to stop finishes what it holds; what it cannot, its lease gives back."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from pipeline.config.task_names import wake_submit
from pipeline.domain.states import Status
from pipeline.lifecycle.submit import submit
from pipeline.runtime.database import session_of
from tests.conditions import PATIENCE_SEC
from tests.dripping_origin import Dripping, dripping
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


@pytest.fixture
def worker(world: World, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real worker of one process, on the test's own database and broker."""
    with worker_process(tmp_path / "worker.log", *SUBMITTING, "--without-mingle") as process:
        yield process


def test_a_worker_told_to_stop_finishes_the_submission_it_is_in(
    world: World, worker: subprocess.Popen[bytes]
) -> None:
    asset_id = world.create()

    def stop_the_worker(_: UUID) -> None:
        worker.terminate()
        time.sleep(0.5)  # the answer leaves well after the signal has arrived

    world.provider.before_answer = stop_the_worker
    send(world, wake_submit(asset_id))

    assert worker.wait(PATIENCE_SEC) == 0
    assert world.types(asset_id)[-1] == "submitted"
    assert world.asset(asset_id).lease_expires_at is None


def test_what_a_killed_worker_held_is_taken_over_by_its_lease(
    world: World, worker: subprocess.Popen[bytes]
) -> None:
    asset_id = world.create()

    def kill_the_worker(_: UUID) -> None:
        os.killpg(worker.pid, signal.SIGKILL)

    world.provider.before_answer = kill_the_worker
    send(world, wake_submit(asset_id))
    worker.wait(PATIENCE_SEC)
    world.provider.before_answer = None

    assert world.asset(asset_id).status is Status.PROCESSING
    assert world.asset(asset_id).provider_job_id is None
    world.make_past(asset_id, "lease_expires_at")
    assert submit(world.services, asset_id).result == "submitted"
    assert len(world.provider.jobs) == 1


@pytest.fixture
def stalled(outputs_folder: Path) -> Iterator[Dripping]:
    """An origin without ranges that stops in the middle of its file, as often as it is asked."""
    content = (outputs_folder / "slow.mp4").read_bytes()
    with dripping(content) as origin:
        yield origin


def read_until_the_middle(world: World, origin: Dripping, then: Callable[[], object]) -> UUID:
    """Send a video to the worker; do something once half of its source has been sent."""
    asset_id = world.create()
    world.execute_past_triggers(
        "UPDATE video_assets SET source_url = :url WHERE id = :id", url=origin.url, id=asset_id
    )

    def stop_in_the_middle(number: int) -> None:
        if number == len(origin.pieces) // 2:
            then()
            origin.stall()

    origin.before_piece = stop_in_the_middle
    send(world, wake_submit(asset_id))
    return asset_id


def go_on_with(world: World, origin: Dripping, asset_id: UUID) -> None:
    """Let another worker read the source whole, under the same attempt and its one booking."""
    origin.before_piece = lambda _: None
    assert submit(world.services, asset_id).result == "submitted"
    assert world.types(asset_id).count("claimed") == 1
    assert world.provider.puts == [world.attempt_id(asset_id)]
    with session_of(world.services.engine) as session:
        assert session.scalar(text("SELECT sum(assets) FROM provider_spend")) == 1


def test_a_worker_told_to_stop_gives_back_the_source_that_it_reads(
    world: World, worker: subprocess.Popen[bytes], stalled: Dripping
) -> None:
    asset_id = read_until_the_middle(world, stalled, worker.terminate)

    assert worker.wait(PATIENCE_SEC) == 0

    asset = world.asset(asset_id)
    assert (asset.status, asset.claims) == (Status.PROCESSING, 0)
    go_on_with(world, stalled, asset_id)


def test_a_source_that_a_killed_worker_read_is_taken_over_by_its_lease_and_billed_once(
    world: World, worker: subprocess.Popen[bytes], stalled: Dripping
) -> None:
    asset_id = read_until_the_middle(world, stalled, lambda: os.killpg(worker.pid, signal.SIGKILL))
    worker.wait(PATIENCE_SEC)

    assert submit(world.services, asset_id).result == "nothing_to_submit"
    world.make_past(asset_id, "lease_expires_at")
    go_on_with(world, stalled, asset_id)
