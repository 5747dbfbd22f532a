"""Forged task messages: they change no job, callback or file, and stop no worker."""

import pickle
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from pipeline.runtime.database import session_of
from pipeline.runtime.message_signatures import derive_key
from tests.forgeries import forger, send_forgeries
from tests.integration.transcoder.conftest import (
    Client,
    Receiver,
    Worker,
    callbacks_of,
    eventually,
    row,
)
from transcoder.leftovers import clean_outputs
from transcoder.models import SCHEMA
from transcoder.services import TranscoderServices
from transcoder.task_names import (
    DELIVER,
    ENCODE,
    ENCODE_QUEUE,
    KEY_PREFIX,
    MESSAGE_PURPOSE,
    SWEEP,
    SWEEP_QUEUE,
)

NOWHERE = Path("never-made.mp4")
NO_IDS: tuple[Any, ...] = (
    "../../etc/passwd",
    "' OR 1=1 --",
    "\0",
    "",
    7,
    None,
    [],
    {},
    "x" * 10**6,
)


class Bomb:
    """Object that creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return (Path.touch, (self._path,))


def everything(services: TranscoderServices) -> dict[str, str]:
    """Read every row, by its id."""
    with session_of(services.engine) as session:
        return {
            str(id_): content
            for table in ("jobs", "callbacks")
            for id_, content in session.execute(
                text(f"SELECT id, to_jsonb(t)::text FROM {SCHEMA}.{table} t")
            )
        }


@pytest.mark.parametrize("holds_key", [False, True], ids=["unsigned", "signed"])
def test_a_forged_message_changes_nothing_and_the_worker_works_on(
    client: Client,
    services: TranscoderServices,
    receiver: Receiver,
    worker: Worker,
    tmp_path: Path,
    *,
    holds_key: bool,
) -> None:
    ended = client.submit(NOWHERE)
    eventually("its callback arrives", receiver.terminal)
    [callback] = callbacks_of(services, ended)
    eventually("… and is done with", lambda: callbacks_of(services, ended)[0].delivered_at)
    clean_outputs(services)  # else a sweep would do it between the two reads
    before, trace = everything(services), tmp_path / "unpickled"
    url = services.settings.broker_url.get_secret_value()
    options = {"global_keyprefix": KEY_PREFIX}
    key = derive_key(services.settings.token.get_secret_value(), MESSAGE_PURPOSE)
    app = forger(url, options, key if holds_key else None)
    for command in ("shutdown", "cancel_consumer", "pool_restart"):
        app.control.broadcast(command, arguments={"queue": ENCODE_QUEUE})
    for queue, task in ((ENCODE_QUEUE, ENCODE), (SWEEP_QUEUE, DELIVER)):
        for argument in (*NO_IDS, str(uuid4()), str(ended), str(callback.id)):
            app.send_task(task, args=[argument], queue=queue)
        app.send_task(task, args=[str(ended), "one more"], queue=queue)
        app.send_task(task, kwargs={"job_id": str(ended), "status": "completed"}, queue=queue)
        app.send_task("os.system", args=[f"touch {trace}"], queue=queue)
        app.send_task(SWEEP, args=["everything"], queue=queue)
    send_forgeries(app, options, SWEEP_QUEUE, DELIVER, pickle.dumps(Bomb(trace)))
    app.close()

    marker = client.submit(NOWHERE)
    eventually("the worker works on", lambda: len(receiver.terminal()) == 2, 120)

    assert worker.process.poll() is None
    assert row(services, marker).claims == 1
    said = worker.log.read_text()
    assert "task messages refused" in said
    for heard in ("ContentDisallowed", "unregistered task"):
        assert (heard in said) is holds_key, heard
    assert not trace.exists()
    after = everything(services)
    assert {id_: after[id_] for id_ in before} == before
    assert len(after) == len(before) + 2
    assert not list(services.settings.scratch.glob("[!.]*"))
