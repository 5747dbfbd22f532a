"""Job as clients see it, in answers and in callbacks."""

import json
from datetime import datetime
from typing import Any

from transcoder.models import Job


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
    }


def callback_body(kind: str, job: Job, at: datetime) -> bytes:
    """Write the body of a callback: `job.progress`, `job.completed` or `job.failed`."""
    event = {"type": kind, "timestamp": at.isoformat(), "data": {"job": job_view(job)}}
    return json.dumps(event, separators=(",", ":")).encode()


def error_view(code: str, message: str, *, retryable: bool) -> dict[str, Any]:
    """Describe an error, for a failed job and for a refused request."""
    return {"code": code, "message": message, "retryable": retryable}


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
