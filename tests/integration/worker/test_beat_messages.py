"""Messages of the beat, which the worker takes only if they are signed."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from kombu.connection import Connection

from pipeline.config.task_names import BROKER_KEY_PREFIX, QUEUE_SWEEP, TASK_SWEEP
from pipeline.runtime.message_signatures import verify_message
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


def test_a_sweep_of_the_beat_is_signed_for_the_worker(world: World, tmp_path: Path) -> None:
    read = world.services.settings
    url = read.broker.broker_url.get_secret_value()
    with (tmp_path / "beat.log").open("wb") as output:
        beat = subprocess.Popen(
            [
                *(sys.executable, "-W", "ignore", "-m", "celery", "-A", "worker.beat", "beat"),
                *("--schedule", str(tmp_path / "schedule"), "--pidfile="),
            ],
            cwd=CHECKOUT,
            env={**os.environ},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            options = {"global_keyprefix": BROKER_KEY_PREFIX}
            with (
                Connection(url, transport_options=options) as connection,  # type: ignore[no-untyped-call] # kombu has no types
                closing(connection.SimpleQueue(QUEUE_SWEEP)) as queue,
            ):
                message = queue.get(timeout=PATIENCE_SEC)
                message.ack()
        finally:
            os.killpg(beat.pid, signal.SIGKILL)
            beat.wait()
    assert message.headers["task"] == TASK_SWEEP
    verify_message(read.media_urls.message_key, message.headers, message.body)
