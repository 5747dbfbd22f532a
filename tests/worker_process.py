"""A worker or a beat as a process, and messages to it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.config.task_names import BROKER_KEY_PREFIX, QUEUE_SUBMIT
from pipeline.runtime.task_publishing import make_producer
from pipeline.runtime.wakes import Wake
from stack.home import CHECKOUT
from tests.integration.pipeline.conftest import World

WORKER = ("-A", "worker.app", "worker", "--concurrency", "1")
SUBMITTING = (*WORKER, "--queues", QUEUE_SUBMIT)
"""A worker of one process that submits."""


@contextmanager
def worker_process(
    log: Path, *arguments: str, **variables: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run Celery on the test's own database and broker for the length of the block.

    Args:
        log: The file that it writes to.
        variables: Variables added to its environment.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "celery", *arguments],
            cwd=CHECKOUT,
            env={**os.environ, **variables},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):  # it has ended, and its children with it
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def send(world: World, wake: Wake) -> None:
    """Publish a message as our own processes do."""
    settings = world.services.settings
    app = make_producer(
        "test",
        settings.broker.broker_url.get_secret_value(),
        key_prefix=BROKER_KEY_PREFIX,
        message_key=settings.media_urls.message_key,
    )
    app.send_task(wake.task, args=[str(wake.id)], queue=wake.queue)
    app.close()
