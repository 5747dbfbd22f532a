"""The presence of worker processes, and the last run of each periodic task.

A process repeats that it is there. A process that is killed says nothing more, and counts as gone
after ``GONE_AFTER_SEC``.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from pipeline.records.clock import from_now
from pipeline.records.models import TaskRun, WorkerPresence

REPEAT_SEC = 15.0
GONE_AFTER_SEC = 60.0
"""Four repetitions: a database that is away for a moment takes no worker away."""
FORGOTTEN_AFTER_SEC = 24 * 3600.0


def note_presence(session: Session, process: str, queues: Sequence[str]) -> None:
    """Record that a process is there, and consumes these queues."""
    row = {"process": process, "queues": list(queues), "seen_at": func.now()}
    session.execute(
        insert(WorkerPresence)
        .values(row)
        .on_conflict_do_update(index_elements=["process"], set_=row)
    )


def end_presence(session: Session, process: str) -> None:
    """Record that a process has ended."""
    session.execute(delete(WorkerPresence).where(WorkerPresence.process == process))


def prune_presence(session: Session) -> None:
    """Remove the rows of processes that were killed long ago."""
    session.execute(
        delete(WorkerPresence).where(WorkerPresence.seen_at < from_now(-FORGOTTEN_AFTER_SEC))
    )


def workers_by_queue(session: Session) -> Mapping[str, int]:
    """Count the processes that are there, by queue. The table has a row for each process."""
    rows = session.execute(
        text("""
            SELECT queue, count(*) AS total FROM worker_presence, unnest(queues) AS queue
            WHERE seen_at > now() - make_interval(secs => :gone_after_sec) GROUP BY queue
        """),
        {"gone_after_sec": GONE_AFTER_SEC},
    )
    return {row.queue: row.total for row in rows}


def note_run(session: Session, task: str) -> None:
    """Record that a periodic task has run to its end."""
    row = {"task": task, "ended_at": func.now()}
    added = insert(TaskRun).values(row)
    session.execute(added.on_conflict_do_update(index_elements=["task"], set_=row))


def ages_of_runs(session: Session) -> Mapping[str, float]:
    """Return the seconds since the last run of each periodic task that has run."""
    age = func.extract("epoch", func.now() - TaskRun.ended_at)
    return {task: max(float(sec), 0.0) for task, sec in session.execute(select(TaskRun.task, age))}
