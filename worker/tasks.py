"""The tasks: each takes an id, runs one use case and publishes its wakes; safe to run twice."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import structlog
from celery import Task

from pipeline.config.task_names import (
    TASK_POLL,
    TASK_PURGE,
    TASK_RECONCILE,
    TASK_RELEASE,
    TASK_SUBMIT,
    TASK_SWEEP,
    TASK_TIDY,
    TASK_WITHDRAW,
)
from pipeline.lifecycle.poll import poll
from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.release import release
from pipeline.lifecycle.submit import submit
from pipeline.lifecycle.sweep import sweep, tidy
from pipeline.operations.purge import purge
from pipeline.operations.withdraw import withdraw
from pipeline.runtime.task_publishing import send_wakes
from pipeline.services import Outcome, Services
from worker.app import app, services
from worker.backlog import spare
from worker.progress_limits import limited

log = structlog.get_logger()

MAX_LOGGED_CHARS = 80
"""Characters of an invalid id that the log shows."""


@app.task(name=TASK_SUBMIT, bind=True)
def submit_asset(self: Task, asset_id: str) -> str:
    """Submit an asset to its provider."""
    with limited(services().bounds.prolong):
        return _run(self, submit, asset_id)


@app.task(name=TASK_RECONCILE, bind=True)
def reconcile_delivery(self: Task, delivery_id: str) -> str:
    """Apply a stored callback."""
    return _run(self, reconcile, delivery_id)


@app.task(name=TASK_POLL, bind=True)
def poll_asset(self: Task, asset_id: str) -> str:
    """Ask the provider about an asset whose callback is late."""
    return _run(self, poll, asset_id)


@app.task(name=TASK_RELEASE, bind=True)
def release_attempt(self: Task, attempt_id: str) -> str:
    """Give up a job that is no longer needed."""
    return _run(self, release, attempt_id)


@app.task(name=TASK_WITHDRAW, bind=True)
def withdraw_asset(self: Task, asset_id: str) -> str:
    """Remove an asset from storage and CDN."""
    return _run(self, withdraw, asset_id)


@app.task(name=TASK_SWEEP)
def run_sweep() -> str:
    """Wake workers for all due work, except on queues that are full already."""
    found = sweep(services())
    return _finish(replace(found, wakes=tuple(spare(app, found.wakes))))


@app.task(name=TASK_TIDY)
def run_tidy() -> str:
    """Run the hourly maintenance."""
    return _finish(tidy(services()))


@app.task(name=TASK_PURGE)
def run_purge() -> str:
    """Remove files that are no longer published."""
    purged = purge(services())
    log.info("purged", prefixes=len(purged.prefixes), reclaimed_bytes=purged.reclaimed_bytes)
    return f"reclaimed {purged.reclaimed_bytes} bytes"


def _run(task: Task, use_case: Callable[[Services, UUID], Outcome], id_: str) -> str:
    try:
        row_id = UUID(id_)
    except (ValueError, TypeError, AttributeError):
        # Not our message. A forged message can at most name a row.
        log.warning("task refused", task=task.name, argument=repr(id_)[:MAX_LOGGED_CHARS])
        return "refused"
    outcome = use_case(services(), row_id)
    log.info("task done", task=task.name, id=id_, outcome=outcome.result)
    return _finish(outcome)


def _finish(outcome: Outcome) -> str:
    for wake in send_wakes(app, outcome.wakes):
        # The row is still due: the next sweep finds it.
        log.warning("broker away, left to the sweep", task=wake.task, id=str(wake.id))
    return outcome.result
