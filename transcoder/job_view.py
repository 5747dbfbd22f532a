"""Job as clients see it, in answers and in callbacks."""

import json
from datetime import datetime
from typing import Any

from transcoder import store
from transcoder.models import Job, JobStatus

QUARANTINED = "quarantined"
"""Code of a job whose workers were lost: another one would be lost, too."""


def job_view(job: Job) -> dict[str, Any]:
    """Describe a job as JSON values; instants are ISO 8601 with their offset."""
    return {
        "id": str(job.id),
        "status": job.status,
        "step": job.step,
        "progress": round(job.progress, 1),
        "created_at": _iso(job.created_at),
        "started_at": _iso(job.started_at),
        "finished_at": _iso(job.finished_at),
        "result": job.result,
        "error": job.error,
        "crashes": crashes_of(job),
    }


def crashes_of(job: Job) -> int:
    """Return the number of workers that were lost while they had this job."""
    before: int = job.request.get("crashes", 0)
    own_claims = job.claims - min(before, store.MAX_CLAIMS - 1)
    is_lost = job.error is not None and job.error["code"] == QUARANTINED
    ended_in_order = own_claims > 0 and job.status != JobStatus.QUEUED and not is_lost
    return own_claims - int(ended_in_order)


def callback_body(kind: str, job: Job, at: datetime) -> bytes:
    """Write the body of a callback: `job.progress`, `job.completed` or `job.failed`."""
    event = {"type": kind, "timestamp": at.isoformat(), "data": {"job": job_view(job)}}
    return json.dumps(event, separators=(",", ":")).encode()


def error_view(code: str, message: str, *, retryable: bool) -> dict[str, Any]:
    """Describe an error, for a failed job and for a refused request."""
    return {"code": code, "message": message, "retryable": retryable}


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
