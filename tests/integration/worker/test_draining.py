"""A worker that is told to stop finishes what it holds; what it cannot, its lease gives back."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from pipeline.config.task_names import wake_submit
from pipeline.domain.states import Status
from pipeline.lifecycle.submit import submit
from tests.conditions import PATIENCE_SEC
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
