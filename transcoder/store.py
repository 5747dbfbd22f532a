"""Every query, one named function each. Writes of a worker are guarded by its lease in SQL.

The database's clock decides about leases and due times: workers' clocks may differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from transcoder.models import TERMINAL, Job, JobStatus, JobStep, OwedCallback

MAX_CLAIMS = 3
"""Workers that may take a job up: one that kills each of them would kill the next as well."""

KEEP_FOR = timedelta(days=30)
"""How long a job is remembered after its end. While it is, putting it again encodes nothing; the
pipeline gives an asset up after 24 hours, so a repetition a month later would be a mistake."""

_BATCH = 50


class LeaseLost(Exception):
    """The job is no longer this worker's: taken over, or cancelled."""


@dataclass(frozen=True)
class Lease:
    """A worker's right to a job."""

    job_id: UUID
    token: int


def insert_job(session: Session, job_id: UUID, request: dict[str, Any], request_id: str) -> bool:
    """Create a job unless its id is taken; tell whether it is new."""
    values = {
        "id": job_id,
        "request": request,
        "request_id": request_id,
        "status": JobStatus.QUEUED,
        "step": JobStep.QUEUED,
    }
    statement = insert(Job).values(values).on_conflict_do_nothing().returning(Job.id)
    return session.scalar(statement) is not None


def get_job(session: Session, job_id: UUID) -> Job | None:
    """Read a job as it is in the database now."""
    return session.get(Job, job_id, populate_existing=True)


def claim(session: Session, job_id: UUID, lease_sec: float) -> Lease | None:
    """Take up a job that is queued, or whose worker has fallen silent; None for any other."""
    lapsed = (Job.status == JobStatus.RUNNING) & (Job.lease_expires_at < func.now())
    statement = (
        update(Job)
        .where(Job.id == job_id, Job.claims < MAX_CLAIMS)
        .where(or_(Job.status == JobStatus.QUEUED, lapsed))
        .values(
            status=JobStatus.RUNNING,
            step=JobStep.DOWNLOADING,
            progress=0,
            claims=Job.claims + 1,
            lease_token=Job.lease_token + 1,
            lease_expires_at=_lease_end(lease_sec),
            started_at=func.coalesce(Job.started_at, func.now()),
        )
        .returning(Job.lease_token)
    )
    token = session.scalar(statement)
    return None if token is None else Lease(job_id, token)


def renew(session: Session, lease: Lease, *, step: str, progress: float, lease_sec: float) -> None:
    """Record progress and keep the lease.

    Raises:
        LeaseLost: Somebody else has the job, or it was cancelled.
    """
    _guarded(
        session,
        lease,
        {"step": step, "progress": progress, "lease_expires_at": _lease_end(lease_sec)},
    )


def complete(session: Session, lease: Lease, result: dict[str, Any]) -> None:
    """Finish a job with its result.

    Raises:
        LeaseLost: Somebody else has the job, or it was cancelled.
    """
    values = {"result": result, "progress": 100, "step": JobStep.DONE}
    _guarded(session, lease, values | _ended(JobStatus.COMPLETED))


def fail(session: Session, lease: Lease, error: dict[str, Any]) -> None:
    """Finish a job with the reason it failed.

    Raises:
        LeaseLost: Somebody else has the job, or it was cancelled.
    """
    _guarded(session, lease, {"error": error, "cleanup_owed": True} | _ended(JobStatus.FAILED))


def fail_lost(session: Session, job_id: UUID, error: dict[str, Any]) -> bool:
    """Fail a job whose every permitted worker fell silent; tell whether it was one."""
    statement = (
        update(Job)
        .where(Job.id == job_id, Job.status == JobStatus.RUNNING)
        .where(Job.lease_expires_at < func.now(), Job.claims >= MAX_CLAIMS)
        .values(error=error, lease_token=Job.lease_token + 1, cleanup_owed=True)
        .values(_ended(JobStatus.FAILED))
        .returning(Job.id)
    )
    return session.scalar(statement) is not None


def cancel(session: Session, job_id: UUID) -> bool:
    """Cancel a job that has not ended; tell whether it had not.

    Raising the token is what stops a running encode: its next renewal matches nothing. Its lease
    is left to run out, and only then is its output removed: until then it may still be writing.
    """
    statement = (
        update(Job)
        .where(Job.id == job_id, Job.status.not_in(TERMINAL))
        .values(
            status=JobStatus.CANCELLED,
            lease_token=Job.lease_token + 1,
            cleanup_owed=Job.claims > 0,
            finished_at=func.now(),
        )
        .returning(Job.id)
    )
    return session.scalar(statement) is not None


def mark_cleaned(session: Session, job_id: UUID) -> None:
    """Record that nothing of a job without a result lies about any more."""
    session.execute(update(Job).where(Job.id == job_id).values(cleanup_owed=False))


def queued_job_ids(session: Session, limit: int) -> Sequence[UUID]:
    """Jobs that wait, oldest first."""
    statement = select(Job.id).where(Job.status == JobStatus.QUEUED)
    return session.scalars(statement.order_by(Job.created_at).limit(limit)).all()


def lapsed_jobs(session: Session) -> Sequence[Job]:
    """Running jobs whose worker has fallen silent."""
    statement = select(Job).where(Job.status == JobStatus.RUNNING)
    return session.scalars(statement.where(Job.lease_expires_at < func.now()).limit(_BATCH)).all()


def jobs_owing_cleanup(session: Session) -> Sequence[Job]:
    """Jobs without a result that may have output; a cancelled worker has had time to notice."""
    nobody_writes = or_(Job.lease_expires_at.is_(None), Job.lease_expires_at < func.now())
    statement = select(Job).where(Job.cleanup_owed, nobody_writes)
    return session.scalars(statement.limit(_BATCH)).all()


def running_token(session: Session, job_id: UUID) -> int | None:
    """The token under which a job is being worked on now; None when nobody is."""
    statement = select(Job.lease_token).where(Job.id == job_id, Job.status == JobStatus.RUNNING)
    return session.scalar(statement)


def forget_old_jobs(session: Session) -> int:
    """Delete some of the jobs that ended `KEEP_FOR` ago and owe nothing; tell how many."""
    still_to_tell = (
        select(OwedCallback.id).where(OwedCallback.job_id == Job.id, _undelivered()).exists()
    )
    old = (
        select(Job.id)
        .where(Job.finished_at < func.now() - KEEP_FOR, ~Job.cleanup_owed, ~still_to_tell)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )
    statement = delete(Job).where(Job.id.in_(old)).returning(Job.id)
    return len(session.scalars(statement).all())


def owe_callback(session: Session, callback_id: UUID, job: Job, body: bytes) -> None:
    """Put a callback on the list of those that must arrive."""
    session.execute(
        insert(OwedCallback).values(
            id=callback_id, job_id=job.id, body=body, request_id=job.request_id
        )
    )


def due_callbacks(session: Session) -> Sequence[UUID]:
    """Callbacks to try now, the longest waiting first."""
    statement = select(OwedCallback.id).where(
        _undelivered(), OwedCallback.next_try_at <= func.now()
    )
    return session.scalars(statement.order_by(OwedCallback.next_try_at).limit(_BATCH)).all()


def take_callback(session: Session, callback_id: UUID, hold_sec: float) -> OwedCallback | None:
    """Take a due callback for one try and keep others off it meanwhile; None when it is not due."""
    statement = (
        update(OwedCallback)
        .where(
            OwedCallback.id == callback_id, _undelivered(), OwedCallback.next_try_at <= func.now()
        )
        .values(tries=OwedCallback.tries + 1, next_try_at=func.now() + timedelta(seconds=hold_sec))
        .returning(OwedCallback)
    )
    return session.scalar(statement)


def mark_callback_delivered(session: Session, callback_id: UUID) -> None:
    """Record that the receiver has it."""
    _set_callback(session, callback_id, delivered_at=func.now())


def mark_callback_abandoned(session: Session, callback_id: UUID) -> None:
    """Record that it will not be tried again."""
    _set_callback(session, callback_id, abandoned_at=func.now())


def defer_callback(session: Session, callback_id: UUID, delay_sec: float) -> None:
    """Try it again later."""
    _set_callback(session, callback_id, next_try_at=func.now() + timedelta(seconds=delay_sec))


def _set_callback(session: Session, callback_id: UUID, **values: Any) -> None:
    session.execute(update(OwedCallback).where(OwedCallback.id == callback_id).values(values))


def _undelivered() -> Any:
    return OwedCallback.delivered_at.is_(None) & OwedCallback.abandoned_at.is_(None)


def _guarded(session: Session, lease: Lease, values: dict[str, Any]) -> None:
    statement = (
        update(Job)
        .where(Job.id == lease.job_id, Job.lease_token == lease.token)
        .where(Job.status == JobStatus.RUNNING)
        .values(values)
        .returning(Job.id)
    )
    if session.scalar(statement) is None:
        raise LeaseLost


def _ended(status: JobStatus) -> dict[str, Any]:
    return {"status": status, "finished_at": func.now(), "lease_expires_at": None}


def _lease_end(lease_sec: float) -> Any:
    return func.now() + timedelta(seconds=lease_sec)
