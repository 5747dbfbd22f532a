"""Audit of a provider account: the jobs that it lists, against our attempts.

An orphan is a job of the vendor that we do not need, and pay for. A ghost is a job of ours that the
vendor does not have. The vendor's list is read in batches and is never held as a whole: of each job
eight bytes are kept, so that ours can be looked for in it afterwards. No transaction is open while
the vendor is called.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import blake2b
from itertools import islice
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, and_, exists, or_, select, tuple_
from sqlalchemy.orm import Session

from pipeline.domain.values import AttemptOutcome, JobRef, ListedJob
from pipeline.providers.base import Provider
from pipeline.records.models import Asset, Attempt, Output
from pipeline.records.releases import NO_JOB
from pipeline.runtime.database import session_of
from pipeline.services import Services

BATCH = 200
"""Jobs that are compared with our attempts at once."""
YOUNG = timedelta(minutes=10)
"""Age below which a job is left out: its submission or its release may be under way."""


class OrphanReason(StrEnum):
    """Reasons for which a job of the vendor is an orphan."""

    UNKNOWN = "unknown"
    """No attempt of ours has it. Another installation may use the same account."""
    DUPLICATE = "duplicate"
    """It names an attempt of ours that has another job."""
    UNSEEN = "unseen"
    """It names an attempt of ours that was closed as one without a job."""
    RELEASED = "released"
    """The vendor confirmed its release, and has it still."""


OURS = frozenset({OrphanReason.UNSEEN, OrphanReason.RELEASED})
"""Reasons with an attempt of ours that proves the job superfluous: it may be released by that."""


@dataclass(frozen=True)
class Orphan:
    """A job of the vendor that we do not need."""

    job: ListedJob
    reason: OrphanReason

    @property
    def is_ours(self) -> bool:
        """True if an attempt of ours names it, so that it may be released without naming it."""
        return self.reason in OURS


@dataclass(frozen=True)
class Ghost:
    """An attempt of ours whose job the vendor does not list."""

    attempt_id: UUID
    asset_id: UUID
    provider_job_id: str
    submitted_at: datetime
    is_published: bool


class AccountAudit:
    """One audit of an account.

    Attributes:
        listed: Jobs that the vendor has listed so far.
    """

    def __init__(
        self, services: Services, provider: Provider, *, since: datetime, now: datetime
    ) -> None:
        self._engine = services.engine
        self._provider = provider
        self._since = since
        self._until = now - YOUNG
        self._digests = array("Q")
        self.listed = 0

    def orphans(self) -> Iterator[Orphan | None]:
        """Yield the orphans, and None after each batch of the vendor's list.

        Raises:
            ProviderError: The provider gave no answer; the audit is not complete.
        """
        jobs = iter(self._provider.list_since(self._since))
        while batch := list(islice(jobs, BATCH)):
            self.listed += len(batch)
            self._digests.extend(_digest(job.provider_job_id) for job in batch)
            with session_of(self._engine) as session:
                found = self._orphans_in(session, batch)
            yield from found
            yield None

    def ghosts(self) -> Iterator[Ghost]:
        """Yield the ghosts, after ``orphans`` has come to its end.

        A vendor that lists no job at all, such as our own transcoder, has no ghosts.
        """
        if not self.listed:
            return
        self._digests = array("Q", sorted(self._digests))
        after = (self._since + YOUNG, UUID(int=0))
        while expected := self._expected(after):
            after = expected[-1].created_at, expected[-1].id
            yield from (_ghost(each) for each in expected if not self._is_listed(each))

    def _orphans_in(self, session: Session, jobs: Sequence[ListedJob]) -> list[Orphan]:
        by_job, by_id = self._attempts_of(session, jobs)
        found = [
            (job, _reason(job, by_job.get(job.provider_job_id), by_id.get(job.attempt_id)))
            for job in jobs
            if job.created_at <= self._until and not job.is_over
        ]
        return [Orphan(job, reason) for job, reason in found if reason is not None]

    def _attempts_of(
        self, session: Session, jobs: Sequence[ListedJob]
    ) -> tuple[dict[str | None, Attempt], dict[UUID | None, Attempt]]:
        """Return our attempts at these jobs by the vendor's id, and by our own."""
        named = [job.attempt_id for job in jobs if job.attempt_id is not None]
        attempts = session.scalars(
            select(Attempt).where(
                Attempt.provider == self._provider.name,
                or_(
                    Attempt.provider_job_id.in_([job.provider_job_id for job in jobs]),
                    Attempt.id.in_(named),
                ),
            )
        ).all()
        return (
            {attempt.provider_job_id: attempt for attempt in attempts},
            {attempt.id: attempt for attempt in attempts},
        )

    def _expected(self, after: tuple[datetime, UUID]) -> Sequence[Attempt]:
        """Return the next attempts whose job the vendor must have, in the order of their making."""
        keeps_outputs = not self._provider.capabilities.writes_to_our_storage
        published = and_(Attempt.outcome == AttemptOutcome.COMPLETED, _is_published())
        needed = Attempt.outcome == AttemptOutcome.ACCEPTED
        chosen = (
            select(Attempt)
            .where(
                tuple_(Attempt.created_at, Attempt.id) > tuple_(*after),
                Attempt.created_at >= after[0],
                Attempt.submitted_at <= self._until,
                Attempt.provider == self._provider.name,
                Attempt.provider_job_id.is_not(None),
                Attempt.release_requested_at.is_(None),
                or_(needed, published) if keeps_outputs else needed,
            )
            .order_by(Attempt.created_at, Attempt.id)
            .limit(BATCH)
        )
        with session_of(self._engine) as session:
            return session.scalars(chosen).all()

    def _is_listed(self, attempt: Attempt) -> bool:
        digest = _digest(attempt.provider_job_id or "")
        place = bisect_left(self._digests, digest)
        return place < len(self._digests) and self._digests[place] == digest


def release_orphan(provider: Provider, orphan: Orphan) -> None:
    """End an orphan at its vendor; the caller has recorded it in the audit.

    Safe to run twice: a job that is gone counts as ended.

    Raises:
        ProviderError: The provider gave no answer; the job may go on.
    """
    job = orphan.job
    provider.cancel(JobRef(job.attempt_id or uuid4(), job.provider_job_id, job.created_at))


def _reason(job: ListedJob, by_job: Attempt | None, by_id: Attempt | None) -> OrphanReason | None:
    """Return the reason for which a job is an orphan; None for one that we need or end."""
    attempt = by_job or by_id
    if attempt is None:
        return OrphanReason.UNKNOWN
    if attempt.provider_job_id not in (None, job.provider_job_id):
        return OrphanReason.DUPLICATE
    if attempt.released_at is not None:
        return OrphanReason.RELEASED
    if attempt.release_requested_at is None and attempt.outcome in NO_JOB:
        return OrphanReason.UNSEEN
    return None


def _ghost(attempt: Attempt) -> Ghost:
    return Ghost(
        attempt.id,
        attempt.asset_id,
        attempt.provider_job_id or "",
        attempt.submitted_at or attempt.created_at,
        is_published=attempt.outcome == AttemptOutcome.COMPLETED,
    )


def _is_published() -> ColumnElement[bool]:
    return exists().where(
        Output.attempt_id == Attempt.id,
        Output.published_at.is_not(None),
        Output.retired_at.is_(None),
        Asset.id == Output.asset_id,
        Asset.deleted_at.is_(None),
    )


def _digest(job_id: str) -> int:
    """Return a number for an id. Two ids have the same one once in 2**64."""
    return int.from_bytes(blake2b(job_id.encode(), digest_size=8).digest(), "big")
