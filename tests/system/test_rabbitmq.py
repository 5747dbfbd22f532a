"""Workers and publishers over a real RabbitMQ, which refuses what Redis takes."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from kombu import pools
from kombu.connection import Connection

from api.wiring.publisher import PUBLISHES, Publisher
from pipeline.config.task_names import QUEUE_SUBMIT, wake_submit
from stack.ports import LOOPBACK, free_port
from tests.conditions import wait_until
from tests.integration.pipeline.conftest import (
    World,
    outputs_folder,
    provider,
    services,
    settings,
    world,
)
from tests.worker_process import WORKER, send, worker_process

__all__ = ["outputs_folder", "provider", "services", "settings", "world"]

PROGRAM = next(iter(Path("/usr/lib/rabbitmq").glob("lib/*/sbin/rabbitmq-server")), None)
START_SEC = 180.0
LOGIN = "guest:guest"

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        PROGRAM is None, reason="RabbitMQ is missing: apt-get install rabbitmq-server"
    ),
]


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a RabbitMQ of this module's own, which listens on loopback."""
    folder, port, names = tmp_path_factory.mktemp("rabbitmq"), free_port(), str(free_port())
    configuration = folder / "rabbitmq.conf"
    configuration.write_text(f"listeners.tcp.1 = {LOOPBACK}:{port}\n")
    environment = {
        "PATH": os.defpath,
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"khronika-{port}@localhost",
        "RABBITMQ_CONFIG_FILE": str(configuration),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "ERL_EPMD_PORT": names,
        "ERL_EPMD_ADDRESS": LOOPBACK,
    }
    assert PROGRAM is not None
    log = folder / "output"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(PROGRAM)], env=environment, stdout=output, stderr=output, start_new_session=True
        )
    url = f"amqp://{LOGIN}@{LOOPBACK}:{port}//"
    try:
        _await(url, process, log)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # the program is a script, and the server its child
        process.wait()
        # Erlang's service of names outlives the server that started it, in a session of its own.
        subprocess.run(["epmd", "-port", names, "-kill"], check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder)


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SEC
    while True:
        assert process.poll() is None, log.read_text()
        try:
            with Connection(url, connect_timeout=1) as connection:  # type: ignore[no-untyped-call]
                connection.connect()
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        else:
            return


@pytest.fixture
def broker_url(rabbitmq: str) -> Iterator[str]:
    """The RabbitMQ without a queue, as a new virtual host is."""
    yield rabbitmq
    pools.reset()  # type: ignore[no-untyped-call]  # its connections remember what they declared
    with Connection(rabbitmq) as connection:  # type: ignore[no-untyped-call]
        channel = connection.default_channel
        for queue in ("submit", "reconcile", "sweep"):
            channel.queue_delete(queue)
            channel.exchange_delete(queue)


@pytest.mark.parametrize("first", ["the count", "the worker"])
def test_a_worker_the_count_and_the_publisher_agree_on_the_queues(
    world: World, broker_url: str, tmp_path: Path, first: str
) -> None:
    def depths() -> object:
        with closing(Publisher(broker_url, world.services.settings.media_urls.message_key)) as own:
            return own.depths([QUEUE_SUBMIT, "reconcile", "sweep"])

    empty = {QUEUE_SUBMIT: 0, "reconcile": 0, "sweep": 0}
    asset_id, log = world.create(), tmp_path / "worker.log"
    log.touch()
    if first == "the count":
        wait_until(lambda: depths() == empty, log)  # on a busy machine a count may come too late
    options = "--queues", "submit,reconcile,sweep", "--loglevel", "INFO"
    with worker_process(log, *WORKER, *options) as process:
        wait_until(lambda: " ready." in log.read_text(errors="replace"), log)
        send(world, wake_submit(asset_id))
        wait_until(lambda: "submitted" in world.types(asset_id), log)
        wait_until(lambda: depths() == empty, log)
        assert process.poll() is None
    assert "PreconditionFailed" not in log.read_text(errors="replace")


def test_published_wakes_are_counted(broker_url: str, tmp_path: Path) -> None:
    log = tmp_path / "publisher.log"
    log.touch()
    with closing(Publisher(broker_url, "k")) as publisher:

        def counted(least: int) -> bool:
            depths = publisher.depths([QUEUE_SUBMIT, "sweep"])
            return depths is not None and depths[QUEUE_SUBMIT] >= least and depths["sweep"] == 0

        wait_until(lambda: counted(0), log)
        sent = 0
        while sent < 3:  # a publish whose answer comes too late counts as failed, and may be there
            before = PUBLISHES.labels("sent")._value.get()
            publisher.publish([wake_submit(uuid4())])
            sent += int(PUBLISHES.labels("sent")._value.get() - before)
        wait_until(lambda: counted(3), log)
