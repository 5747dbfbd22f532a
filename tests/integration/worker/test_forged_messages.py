"""Whoever can write to the broker can at most hint: nothing changes but a line in a log."""

import pickle
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from pipeline.config.task_names import (
    BROKER_KEY_PREFIX,
    QUEUE_SUBMIT,
    TASK_POLL,
    TASK_PURGE,
    TASK_RECONCILE,
    TASK_RELEASE,
    TASK_SUBMIT,
    TASK_WITHDRAW,
)
from pipeline.runtime.database import session_of
from tests.conditions import wait_until
from tests.forgeries import forger, send_forgeries
from tests.integration.pipeline.conftest import (
    World,
    outputs_folder,
    provider,
    services,
    settings,
    world,
)
from tests.worker_process import SUBMITTING, worker_process

__all__ = ["outputs_folder", "provider", "services", "settings", "world"]

NO_IDS: tuple[Any, ...] = ("../../etc/passwd", "' OR 1=1 --", "\0", "", 7, None, [], {})
TABLES = (
    *("video_assets", "provider_attempts", "video_outputs", "video_processing_events"),
    *("webhook_deliveries", "uploads", "audit_events"),
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "worker.log"


@pytest.fixture
def worker(world: World, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real worker of one process, on the test's own database and broker."""
    with worker_process(log, *SUBMITTING, "--without-mingle") as process:
        yield process


class Bomb:
    """Leaves a file behind when somebody unpickles it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (Path.touch, (self._path,))


def everything(world: World) -> dict[str, list[Any]]:
    """Every row of every table that a task may change."""
    with session_of(world.services.engine) as session:
        return {
            table: sorted(map(str, session.execute(text(f"SELECT t FROM {table} t")).scalars()))
            for table in TABLES
        }


@pytest.mark.parametrize("holds_key", [False, True], ids=["unsigned", "signed"])
def test_a_forged_message_changes_nothing_and_the_worker_works_on(
    world: World, worker: subprocess.Popen[bytes], log: Path, tmp_path: Path, *, holds_key: bool
) -> None:
    waiting = world.create()
    # Of another owner: the end of a submission wakes the next video of its owner.
    world.execute("UPDATE video_assets SET owner_id = 'somebody' WHERE id = :id", id=waiting)
    world.make_past(waiting, "deadline_at")  # so that its own row would fail it, were it swept
    before, trace = everything(world), tmp_path / "unpickled"
    settings = world.services.settings
    url, key = settings.broker.broker_url.get_secret_value(), settings.media_urls.message_key
    options = {"global_keyprefix": BROKER_KEY_PREFIX}
    app = forger(url, options, key if holds_key else None)
    ours = forger(url, options, key)

    def send(task: str, *args: Any, **more: Any) -> None:
        app.send_task(task, args=args, queue=QUEUE_SUBMIT, **more)

    for task in (TASK_SUBMIT, TASK_RECONCILE, TASK_POLL, TASK_RELEASE, TASK_WITHDRAW):
        for argument in NO_IDS:
            send(task, argument)
        send(task, str(uuid4()))
        send(task)
        send(task, str(waiting), "one more")
        send(task, "x" * 5_000_000)
    send(TASK_SUBMIT, kwargs={"asset_id": str(uuid4()), "status": "completed"})
    send(TASK_PURGE, "everything")
    send("os.system", f"touch {trace}")
    send("celery.backend_cleanup")
    send("khronika.nothing", str(waiting))
    if not holds_key:
        send(TASK_SUBMIT, str(waiting))
    for command in ("shutdown", "cancel_consumer", "pool_restart"):
        app.control.broadcast(command, arguments={"queue": QUEUE_SUBMIT})
    send_forgeries(app, options, QUEUE_SUBMIT, TASK_SUBMIT, pickle.dumps(Bomb(trace)))
    marker = world.create()
    ours.send_task(TASK_SUBMIT, args=[str(marker)], queue=QUEUE_SUBMIT)
    app.close()
    ours.close()

    wait_until(lambda: str(marker) in log.read_text(errors="replace"), log)
    said = log.read_text(errors="replace")
    wait_until(lambda: "submitted" in world.types(marker), log)

    assert worker.poll() is None
    assert "task messages refused" in said
    for heard in ("task refused", "ContentDisallowed", "unregistered task"):
        assert (heard in said) is holds_key, heard
    assert not trace.exists()
    assert len(world.provider.puts) == 1
    changed = everything(world)
    mine = str(marker)
    for table, rows in before.items():
        assert [r for r in changed[table] if mine not in r] == rows, table
