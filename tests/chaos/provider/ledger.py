"""The provider's books: what it was sent, what it took, what it said. The oracle of the run."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

from tests.chaos.provider.script import Script

LIVE = frozenset({"queued", "running"})


@dataclass
class Job:
    """One job the provider took: what it would send an invoice for.

    Attributes:
        body_sha256: Of the PUT that made it.
        deleted_at: When a DELETE of it was first answered with success.
        playable: Whether its outputs would pass an honest look.
    """

    id: str
    script: Script
    body_sha256: str
    accepted_at: float
    status: str = "running"
    finished_at: float | None = None
    deleted_at: float | None = None
    playable: bool = False
    account: str = "selfhosted"

    def is_over(self) -> bool:
        """Whether it costs nothing any more."""
        return self.status not in LIVE


@dataclass
class Sent:
    """One callback on its way, and each answer it got; None where none came.

    Attributes:
        manner: ``genuine``, ``conflicting`` (a known id, another body), ``forged``, ``stale``.
    """

    event_id: str
    job_id: str
    type: str
    manner: str
    body_sha256: str
    answers: list[int | None] = field(default_factory=list)
    results: list[str | None] = field(default_factory=list)

    def is_taken(self) -> bool:
        """Whether it need not be sent again."""
        return any(answer is not None and 200 <= answer < 300 for answer in self.answers)


class Ledger:
    """Everything the provider knows, under one lock."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.jobs: dict[str, Job] = {}
        self.sent: list[Sent] = []
        self.puts = 0
        self.puts_of: Counter[str] = Counter()
        self.repeats = 0
        self.questions = 0
        self.other_bodies: list[str] = []
        self.faults: Counter[str] = Counter()
        self.holding: set[int] = set()
        self.hold_next = False
        self.calm = False

    @contextmanager
    def open(self) -> Iterator["Ledger"]:
        """Read and write several entries as one."""
        with self._lock:
            yield self

    def accept(self, job_id: str, script: Script, body: bytes, account: str) -> Job:
        """Take the job, once."""
        with self._lock:
            digest = sha256(body).hexdigest()
            new = Job(job_id, script, digest, time.time(), account=account)
            job = self.jobs.setdefault(job_id, new)
            if job.body_sha256 != digest:
                self.other_bodies.append(job_id)
            return job

    def finish(self, job: Job, status: str) -> bool:
        """End a job that is not over; say whether it was this call that did."""
        with self._lock:
            if job.is_over():
                return False
            job.status, job.finished_at = status, time.time()
            job.playable = status == "completed" and "black" not in job.script.fate
            return True

    def delete(self, job: Job) -> bool:
        """Give a job up; one that is deaf says yes and goes on. Says whether it was live."""
        with self._lock:
            job.deleted_at = job.deleted_at or time.time()
            was_live = not job.is_over()
            if was_live and "deaf" not in job.script.fate:
                job.status, job.finished_at = "cancelled", time.time()
            return was_live

    def dump(self) -> dict[str, Any]:
        """The books as JSON."""
        with self._lock:
            return {
                "jobs": [asdict(job) for job in self.jobs.values()],
                "sent": [asdict(sent) for sent in self.sent],
                "other_bodies": list(self.other_bodies),
                "faults": dict(self.faults),
                "open": sum(1 for job in self.jobs.values() if not job.is_over()),
            }
