"""A sweep adds nothing to a queue that workers cannot keep up with."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from celery import Celery

from pipeline.config.task_names import wake_reconcile, wake_submit
from pipeline.runtime.wakes import Wake
from worker.backlog import DEEP, spare

NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture
def app(broker_url: str) -> Iterator[Celery]:
    """Sends as the worker does."""
    app = Celery("test", broker=broker_url, set_as_current=False)
    app.conf.broker_transport_options = {"global_keyprefix": "khronika:"}
    yield app
    app.close()


def _send(app: Celery, wakes: list[Wake]) -> None:
    for wake in wakes:
        app.send_task(wake.task, args=[str(wake.id)], queue=wake.queue)


def test_wakes_go_out_while_workers_keep_up(app: Celery) -> None:
    _send(app, [wake_submit(uuid4()) for _ in range(DEEP - 1)])
    wakes = [wake_submit(uuid4()), wake_reconcile(uuid4())]
    assert spare(app, wakes) == wakes


def test_a_backlog_does_not_feed_itself_and_holds_up_no_other_queue(app: Celery) -> None:
    _send(app, [wake_reconcile(uuid4()) for _ in range(DEEP)])
    submit = wake_submit(uuid4())
    assert spare(app, [wake_reconcile(uuid4()), submit]) == [submit]


def test_a_broker_that_is_away_is_the_publishers_concern() -> None:
    app = Celery("test", broker=NOBODY, set_as_current=False)
    app.conf.broker_transport_options = {"max_retries": 0, "socket_connect_timeout": 0.2}
    wakes = [wake_submit(uuid4())]
    assert spare(app, wakes) == wakes
    app.close()
