"""A worker that is told to stop finishes what it holds; what it cannot, its lease gives back."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from pipeline.config.task_names import BROKER_KEY_PREFIX, QUEUE_SUBMIT, TASK_SUBMIT
from pipeline.domain.states import Status
from pipeline.lifecycle.submit import submit
from pipeline.runtime.task_publishing import make_producer
from tests.integration.pipeline.conftest import (
    World,
    outputs_folder,
    provider,
    services,
    settings,
    world,
)

__all__ = ["outputs_folder", "provider", "services", "settings", "world"]

CHECKOUT = Path(__file__).parents[3]
PATIENCE_SEC = 180.0


@pytest.fixture
def worker(world: World, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real worker of one process, on the test's own database and broker."""
    log = (tmp_path / "worker.log").open("wb")
    process = subprocess.Popen(
        [
            *(sys.executable, "-W", "ignore", "-m", "celery", "-A", "worker.app", "worker"),
            *("--queues", QUEUE_SUBMIT, "--concurrency", "1", "--without-mingle"),
        ],
        cwd=CHECKOUT,
        env={**os.environ},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    log.close()


def send(world: World, asset_id: UUID) -> None:
    settings = world.services.settings
    app = make_producer(
        "test",
        settings.broker.broker_url.get_secret_value(),
        key_prefix=BROKER_KEY_PREFIX,
        message_key=settings.media_urls.message_key,
    )
    app.send_task(TASK_SUBMIT, args=[str(asset_id)], queue=QUEUE_SUBMIT)
    app.close()


def test_a_worker_told_to_stop_finishes_the_submission_it_is_in(
    world: World, worker: subprocess.Popen[bytes]
) -> None:
    asset_id = world.create()

    def stop_the_worker(_: UUID) -> None:
        worker.terminate()
        time.sleep(0.5)  # the answer leaves well after the signal has arrived

    world.provider.before_answer = stop_the_worker
    send(world, asset_id)

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
    send(world, asset_id)
    worker.wait(PATIENCE_SEC)
    world.provider.before_answer = None

    assert world.asset(asset_id).status is Status.PROCESSING
    assert world.asset(asset_id).provider_job_id is None
    world.make_past(asset_id, "lease_expires_at")
    assert submit(world.services, asset_id).result == "submitted"
    assert len(world.provider.jobs) == 1
