"""Queries of the transcoder, one named function each.

SQL guards every write of a worker by its lease. Leases and due times are compared with the
database's clock, since workers' clocks may differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import case, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from transcoder.models import DIGEST, TERMINAL, Job, JobStatus, JobStep, OwedCallback

MAX_CLAIMS = 3
"""Workers that may claim a job. A job that killed this many would kill the next as well.

Only the first of them works beside other jobs, so that a job is charged at most once for the crash
of a neighbour."""

KEEP_FOR = timedelta(days=30)
"""Time that a job's row is kept after its end. Until then, putting the job again encodes nothing.
The pipeline gives an asset up after 24 hours, so a repetition a month later is a mistake."""

_BATCH = 50


class LeaseLost(Exception):
    """The worker lost its job: another worker took it over, or the client cancelled it."""


@dataclass(frozen=True)
class Lease:
    """Right of a worker to a job."""

    job_id: UUID
    token: int


def insert_job(
    session: Session, job_id: UUID, request: dict[str, Any], request_id: str, *, crashes: int = 0
) -> bool:
    """Create a job unless its id is taken; return True if it is new.

    Args:
        session: Session of the transaction.
        job_id: Id that the client chose.
        request: Body of the PUT.
        request_id: Id of the PUT.
        crashes: Workers that earlier jobs of the same source killed; one more claim is left in any
            case.
    """
    values = {
        "id": job_id,
        "request": request,
        "request_id": request_id,
        "status": JobStatus.QUEUED,
        "step": JobStep.QUEUED,
        "claims": min(crashes, MAX_CLAIMS - 1),
    }
    statement = insert(Job).values(values).on_conflict_do_nothing().returning(Job.id)
    return session.scalar(statement) is not None


def get_job(session: Session, job_id: UUID) -> Job | None:
    """Read a job as it is in the database now."""
    return session.get(Job, job_id, populate_existing=True)


def claim(session: Session, job_id: UUID, lease_sec: float) -> Lease | None:
    """Claim a job that is queued or has a lapsed lease; return None for any other job."""
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
    """Record progress and renew the lease.

    Raises:
        LeaseLost: Another worker has the job, or it was cancelled.
    """
    _guarded(
        session,
        lease,
        {"step": step, "progress": progress, "lease_expires_at": _lease_end(lease_sec)},
    )


def complete(session: Session, lease: Lease, result: dict[str, Any]) -> None:
    """Finish a job with its result.

    Raises:
        LeaseLost: Another worker has the job, or it was cancelled.
    """
    values = {"result": result, "progress": 100, "step": JobStep.DONE}
    _guarded(session, lease, values | _ended(JobStatus.COMPLETED))


def fail(session: Session, lease: Lease, error: dict[str, Any]) -> None:
    """Finish a job with the reason of its failure.

    Raises:
        LeaseLost: Another worker has the job, or it was cancelled.
    """
    _guarded(session, lease, {"error": error, "cleanup_owed": True} | _ended(JobStatus.FAILED))


def hand_back(session: Session, lease: Lease) -> None:
    """Queue a job again that this machine cannot encode; the claim does not count.

    Raises:
        LeaseLost: Another worker has the job, or it was cancelled.
    """
    _guarded(
        session,
        lease,
        {
            "status": JobStatus.QUEUED,
            "step": JobStep.QUEUED,
            "progress": 0,
            "claims": Job.claims - 1,
            "lease_expires_at": None,
        },
    )


def fail_lost(session: Session, job_id: UUID, error: dict[str, Any]) -> bool:
    """Fail a job that lost its last permitted worker; return True if it was such a job."""
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
    """Cancel a job that has not ended; return True if this call cancelled it.

    The raised token stops a running encode, because its next renewal matches no row. The encode
    may write until its lease lapses, so the output is removed only after that.
    """
    statement = (
        update(Job)
        .where(Job.id == job_id, Job.status.not_in(TERMINAL))
        .values(
            status=JobStatus.CANCELLED,
            lease_token=Job.lease_token + 1,
            cleanup_owed=Job.claims > 0,
            finished_at=func.now(),
            request=_without_query(),
        )
        .returning(Job.id)
    )
    return session.scalar(statement) is not None


def mark_cleaned(session: Session, job_id: UUID) -> None:
    """Record that the outputs of a job without a result are removed."""
    session.execute(update(Job).where(Job.id == job_id).values(cleanup_owed=False))


def queued_job_ids(session: Session, limit: int) -> Sequence[UUID]:
    """List the ids of queued jobs, oldest first."""
    statement = select(Job.id).where(Job.status == JobStatus.QUEUED)
    return session.scalars(statement.order_by(Job.created_at).limit(limit)).all()


def lapsed_jobs(session: Session) -> Sequence[Job]:
    """List running jobs with a lapsed lease."""
    statement = select(Job).where(Job.status == JobStatus.RUNNING)
    return session.scalars(statement.where(Job.lease_expires_at < func.now()).limit(_BATCH)).all()


def jobs_owing_cleanup(session: Session) -> Sequence[Job]:
    """List jobs without a result that may have outputs, once their lease has lapsed."""
    no_worker_writes = or_(Job.lease_expires_at.is_(None), Job.lease_expires_at < func.now())
    statement = select(Job).where(Job.cleanup_owed, no_worker_writes)
    return session.scalars(statement.limit(_BATCH)).all()


def running_token(session: Session, job_id: UUID) -> int | None:
    """Return the lease token of a running job; None for any other."""
    statement = select(Job.lease_token).where(Job.id == job_id, Job.status == JobStatus.RUNNING)
    return session.scalar(statement)


def forget_old_jobs(session: Session) -> int:
    """Delete a batch of jobs that ended `KEEP_FOR` ago and owe nothing; return their number."""
    owes_callback = (
        select(OwedCallback.id).where(OwedCallback.job_id == Job.id, _undelivered()).exists()
    )
    old = (
        select(Job.id)
        .where(Job.finished_at < func.now() - KEEP_FOR, ~Job.cleanup_owed, ~owes_callback)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )
    statement = delete(Job).where(Job.id.in_(old)).returning(Job.id)
    return len(session.scalars(statement).all())


def owe_callback(session: Session, callback_id: UUID, job: Job, body: bytes) -> None:
    """Insert a callback that must arrive."""
    session.execute(
        insert(OwedCallback).values(
            id=callback_id, job_id=job.id, body=body, request_id=job.request_id
        )
    )


def due_callbacks(session: Session) -> Sequence[UUID]:
    """List the ids of callbacks to try now, the longest waiting first."""
    statement = select(OwedCallback.id).where(
        _undelivered(), OwedCallback.next_try_at <= func.now()
    )
    return session.scalars(statement.order_by(OwedCallback.next_try_at).limit(_BATCH)).all()


def take_callback(session: Session, callback_id: UUID, hold_sec: float) -> OwedCallback | None:
    """Take a due callback for one try, hidden from other tries for `hold_sec`; else return None."""
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
    """Record that the receiver took the callback."""
    _set_callback(session, callback_id, delivered_at=func.now())


def mark_callback_abandoned(session: Session, callback_id: UUID) -> None:
    """Record that the callback will not be tried again."""
    _set_callback(session, callback_id, abandoned_at=func.now())


def defer_callback(session: Session, callback_id: UUID, delay_sec: float) -> None:
    """Set the next try of a callback."""
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
    return {
        "status": status,
        "finished_at": func.now(),
        "lease_expires_at": None,
        "request": _without_query(),
    }


def _without_query() -> Any:
    """Return the request without the part of its source's address that may open the source.

    The digest of the whole address is kept, or made for a row of an earlier release.
    """
    url = Job.request["source_url"].astext
    address = func.regexp_replace(url, "[?#].*$", "")
    stripped = func.jsonb_set(Job.request, ["source_url"], func.to_jsonb(address))
    digest = func.encode(func.sha256(func.convert_to(url, "UTF8")), "hex")
    # The digest that the row has is on the right, where it wins.
    kept = func.jsonb_build_object(DIGEST, digest).concat(stripped)
    return case((url.is_(None), Job.request), else_=kept)


def _lease_end(lease_sec: float) -> Any:
    return func.now() + timedelta(seconds=lease_sec)
