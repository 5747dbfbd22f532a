"""Messages of the beat, which the worker takes only if they are signed."""

from contextlib import closing
from pathlib import Path

from kombu.connection import Connection

from pipeline.config.task_names import BROKER_KEY_PREFIX, QUEUE_SWEEP, TASK_SWEEP
from pipeline.runtime.message_signatures import verify_message
from tests.conditions import PATIENCE_SEC
from tests.integration.pipeline.conftest import (
    World,
    outputs_folder,
    provider,
    services,
    settings,
    world,
)
from tests.worker_process import worker_process

__all__ = ["outputs_folder", "provider", "services", "settings", "world"]


def test_a_sweep_of_the_beat_is_signed_for_the_worker(world: World, tmp_path: Path) -> None:
    read = world.services.settings
    url = read.broker.broker_url.get_secret_value()
    schedule = "--schedule", str(tmp_path / "schedule"), "--pidfile="
    with worker_process(tmp_path / "beat.log", "-A", "worker.beat", "beat", *schedule):
        options = {"global_keyprefix": BROKER_KEY_PREFIX}
        with (
            Connection(url, transport_options=options) as connection,  # type: ignore[no-untyped-call] # kombu has no types
            closing(connection.SimpleQueue(QUEUE_SWEEP)) as queue,
        ):
            message = queue.get(timeout=PATIENCE_SEC)
            message.ack()
    assert message.headers["task"] == TASK_SWEEP
    verify_message(read.media_urls.message_key, message.headers, message.body)
