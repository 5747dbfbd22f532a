"""A worker whose clock is wrong by ten minutes does no harm: only the database's clock counts."""

from pathlib import Path

import pytest

from pipeline.config.task_names import wake_reconcile, wake_submit
from pipeline.domain.states import Status
from pipeline.media.confinement import ISOLATION
from tests.chaos.nemeses import find_libfaketime
from tests.conditions import wait_until
from tests.integration.pipeline.conftest import (
    World,
    outputs_folder,
    provider,
    services,
    settings,
    world,
)
from tests.scripted_provider import callback
from tests.worker_process import WORKER, send, worker_process

__all__ = ["outputs_folder", "provider", "services", "settings", "world"]

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        find_libfaketime() is None, reason="libfaketime is missing: apt-get install libfaketime"
    ),
]


def clock(shift: str) -> dict[str, str]:
    """Variables of a process whose clock is ahead or behind by ``shift``, such as ``+10m``."""
    return {
        "LD_PRELOAD": str(find_libfaketime()),
        "FAKETIME": shift,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # a skewed clock, not another speed of time
        # libfaketime sometimes breaks waits with a time-out, such as that of this check.
        "KHRONIKA_ISOLATION_WAIVE": ",".join(ISOLATION),
    }


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
    queues = "--queues", "submit,reconcile", "--without-mingle"
    with worker_process(log, *WORKER, *queues, **clock(shift)):
        send(world, wake_submit(leased))
        send(world, wake_submit(asset_id))
        wait_until(lambda: "submitted" in world.types(asset_id), log)
        received = world.receive(callback(world.provider.finish(world.attempt_id(asset_id))))
        assert received.wake is not None
        send(world, wake_reconcile(received.wake.id))
        wait_until(lambda: "completed" in world.types(asset_id), log)

    events = world.chronicle(asset_id)
    assert [event.created_at for event in events] == sorted(event.created_at for event in events)
    # The lease that held by the database's clock was left alone, though it had lapsed by the
    # worker's own.
    assert (world.asset(leased).status, world.asset(leased).lease_token) == (Status.PROCESSING, 1)
