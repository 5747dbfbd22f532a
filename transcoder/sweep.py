"""Sweep: reads the rows every few seconds, so that lost messages and dead workers only delay."""

import logging
from datetime import UTC, datetime
from uuid import uuid4

from pipeline.runtime.database import session_of
from pipeline.runtime.wakes import Wake
from transcoder import store
from transcoder.job_view import QUARANTINED, callback_body, error_view
from transcoder.leftovers import clean_outputs, clean_scratch, forget_old_jobs
from transcoder.models import Job
from transcoder.services import TranscoderServices
from transcoder.task_names import wake_deliver, wake_encode

_log = logging.getLogger(__name__)


def sweep(services: TranscoderServices) -> list[Wake]:
    """Find all due work; return the tasks to wake. Safe to run twice, and concurrently."""
    _clean(services)
    with session_of(services.engine) as session:
        waiting = store.queued_job_ids(session, services.settings.concurrency)
        lapsed = store.lapsed_jobs(session)
        due = store.due_callbacks(session)
    return [
        *(wake_encode(job_id) for job_id in waiting),
        *(wake for job in lapsed for wake in _take_over(services, job)),
        *(wake_deliver(callback_id) for callback_id in due),
    ]


def _clean(services: TranscoderServices) -> None:
    """Remove leftovers. A disk that fails must keep no job and no callback from its turn."""
    for clean in (clean_scratch, clean_outputs, forget_old_jobs):
        try:
            clean(services)
        except OSError as error:
            _log.error("leftovers are kept for now: %s", error)


def _take_over(services: TranscoderServices, job: Job) -> list[Wake]:
    """Wake a lost job for its next worker, or fail it after its last permitted one."""
    if job.claims < store.MAX_CLAIMS:
        return [wake_encode(job.id)]
    detail = f"{job.claims} workers were lost while they encoded this video."
    callback_id = uuid4()
    with session_of(services.engine) as session:
        error = error_view(QUARANTINED, detail, retryable=False)
        if not store.fail_lost(session, job.id, error):
            return []
        ended = store.get_job(session, job.id)
        assert ended is not None  # the write above matched it
        body = callback_body("job.failed", ended, datetime.now(UTC))
        store.owe_callback(session, callback_id, ended, body)
    return [wake_deliver(callback_id)]
