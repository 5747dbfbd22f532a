"""Messages of a client of the broker that knows no key of ours."""

import pickle
from pathlib import Path
from typing import Any
from uuid import uuid4

from pipeline.config.task_names import (
    BROKER_KEY_PREFIX,
    QUEUE_SUBMIT,
    TASK_PURGE,
    TASK_SUBMIT,
    TASK_WITHDRAW,
)
from tests.attack.rows import Row
from tests.attack.target import Target, became_so
from tests.forgeries import forger, send_forgeries

OPTIONS = {"global_keyprefix": BROKER_KEY_PREFIX}


class Bomb:
    """A file that appears when the object is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


def attack(target: Target) -> list[Row]:
    """Send unsigned messages and commands to a worker, then a video of an honest owner."""
    asset = target.publish("signed")
    before = _row(target, asset["id"])
    trace = target.folder / "unpickled"
    with target.process("submitter") as (worker, log):
        became_so(lambda: worker.poll() is not None or " ready." in log.read_text())
        _send(target, asset["id"], trace)
        marker = target.create().json()["id"]
        served = became_so(lambda: len(target.world.events(marker)) > 1)
        end = "running" if worker.poll() is None else f"ended: {worker.returncode}"
        heard = "refused" if "task messages refused" in log.read_text() else "not refused"
    changed = "unchanged" if _row(target, asset["id"]) == before else "changed"
    return [
        Row("broker forgery", "unsigned tasks", "refused", heard),
        Row("broker forgery", "withdraw and submit a video", "unchanged", changed),
        Row("broker forgery", "unpickle", "nothing", "done" if trace.exists() else "nothing"),
        Row("broker forgery", "shut down by remote control", "running", end),
        Row("broker forgery", "honest video meanwhile", "True", str(served)),
    ]


def _send(target: Target, asset_id: str, trace: Path) -> None:
    app = forger(target.broker_url, OPTIONS, None)
    for task, argument in ((TASK_SUBMIT, asset_id), (TASK_WITHDRAW, asset_id), (TASK_PURGE, "x")):
        app.send_task(task, args=[argument], queue=QUEUE_SUBMIT)
    app.send_task(TASK_SUBMIT, args=[str(uuid4())], queue=QUEUE_SUBMIT)
    app.send_task("os.system", args=[f"touch {trace}"], queue=QUEUE_SUBMIT)
    for command in ("shutdown", "cancel_consumer", "pool_restart"):
        app.control.broadcast(command, arguments={"queue": QUEUE_SUBMIT})
    send_forgeries(app, OPTIONS, QUEUE_SUBMIT, TASK_SUBMIT, pickle.dumps(Bomb(trace)))
    app.close()


def _row(target: Target, asset_id: str) -> dict[str, Any]:
    row = target.world.asset(asset_id)
    return {name: value for name, value in vars(row).items() if not name.startswith("_")}
