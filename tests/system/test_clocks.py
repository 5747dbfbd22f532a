"""A worker whose clock is wrong by ten minutes does no harm: only the database's clock counts."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from pipeline.config.task_names import BROKER_KEY_PREFIX, wake_reconcile, wake_submit
from pipeline.domain.states import Status
from pipeline.media.confinement import ISOLATION
from pipeline.runtime.task_publishing import make_producer
from pipeline.runtime.wakes import Wake
from tests.chaos.nemeses import find_libfaketime
from tests.integration.pipeline.conftest import (
    World,
    outputs_folder,
    provider,
    services,
    settings,
    world,
)
from tests.scripted_provider import callback

__all__ = ["outputs_folder", "provider", "services", "settings", "world"]

CHECKOUT = Path(__file__).parents[2]
PATIENCE_SEC = 90.0

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        find_libfaketime() is None, reason="libfaketime is missing: apt-get install libfaketime"
    ),
]


@contextmanager
def worker_with_clock(shift: str, log: Path) -> Iterator[None]:
    """A real worker whose clock is ahead or behind by ``shift``, such as ``+10m``."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-W", "ignore", "-m", "celery", "-A", "worker.app", "worker"),
                *("--queues", "submit,reconcile", "--concurrency", "1", "--without-mingle"),
            ],
            cwd=CHECKOUT,
            env={
                **os.environ,
                "LD_PRELOAD": str(find_libfaketime()),
                "FAKETIME": shift,
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # a skewed clock, not another speed of time
                # libfaketime sometimes breaks waits with a time-out, such as that of this check.
                "KHRONIKA_ISOLATION_WAIVE": ",".join(ISOLATION),
            },
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def send(world: World, wake: Wake) -> None:
    settings = world.services.settings
    app = make_producer(
        "test",
        settings.broker.broker_url.get_secret_value(),
        key_prefix=BROKER_KEY_PREFIX,
        message_key=settings.media_urls.message_key,
    )
    app.send_task(wake.task, args=[str(wake.id)], queue=wake.queue)
    app.close()


def wait_for(world: World, asset_id: UUID, type_: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SEC
    while type_ not in world.types(asset_id):
        missed = f"never {type_}: {world.types(asset_id)}"
        assert time.monotonic() < deadline, f"{missed}\n{log.read_text(errors='replace')[-3000:]}"
        time.sleep(0.1)


@pytest.mark.parametrize("shift", ["+10m", "-10m"])
def test_a_video_goes_through_a_worker_whose_clock_is_wrong(
    world: World, tmp_path: Path, shift: str
) -> None:
    leased = world.create()
    world.execute(
        "UPDATE video_assets SET status = 'processing', lease_token = 1,"
        " attempt_id = gen_random_uuid(), next_attempt_at = NULL,"
        " lease_expires_at = now() + interval '2 min' WHERE id = :id",
        id=leased,
    )
    asset_id = world.create()

    log = tmp_path / "worker.log"
    with worker_with_clock(shift, log):
        send(world, wake_submit(leased))
        send(world, wake_submit(asset_id))
        wait_for(world, asset_id, "submitted", log)
        received = world.receive(callback(world.provider.finish(world.attempt_id(asset_id))))
        assert received.wake is not None
        send(world, wake_reconcile(received.wake.id))
        wait_for(world, asset_id, "completed", log)

    events = world.chronicle(asset_id)
    assert [event.created_at for event in events] == sorted(event.created_at for event in events)
    # The lease that held by the database's clock was left alone, though it had lapsed by the
    # worker's own.
    assert (world.asset(leased).status, world.asset(leased).lease_token) == (Status.PROCESSING, 1)
