"""Checks of the provider's jobs, by its own books: none twice, none forgotten."""

from collections import Counter
from datetime import UTC, datetime

from pipeline.domain.events import EventType
from pipeline.domain.states import Status
from tests.laws.books import AttemptRow, Books, JobEntry
from tests.laws.finding import Finding

NEVER = datetime.max.replace(tzinfo=UTC)
OVER = frozenset({"failed", "cancelled"})


def every_job_was_intended(books: Books) -> Finding:
    """Require that each job is an attempt's, and that the intent was committed."""
    finding = Finding()
    for job in books.jobs:
        attempt = books.attempt_of.get(job.id)
        intended = attempt is not None and attempt.intended_at is not None
        asset_id = attempt.asset_id if attempt else None
        finding.require(intended, asset_id, f"job {job.id} was submitted without an intent")
    return finding


def one_attempt_is_under_way(books: Books) -> Finding:
    """Require one attempt at most that neither ended nor is owed a release."""
    finding = Finding()
    under_way = Counter(
        attempt.asset_id
        for attempt in books.attempts
        if attempt.intended_at is not None
        and attempt.outcome in {None, "accepted"}
        and attempt.release_requested_at is None
    )
    for asset_id, number in under_way.items():
        finding.require(number <= 1, asset_id, f"{number} attempts are under way")
    return finding


def released_before_the_next(books: Books) -> Finding:
    """Require that each earlier job is over, or its release owed, when the next is accepted.

    Nothing is known of jobs whose books keep no times. A job that completed late and was published
    is no longer owed a release: the publication forgave it, and came after.
    """
    finding = Finding()
    forgiven = _published_late(books)
    known: dict[str, list[tuple[AttemptRow, JobEntry, datetime]]] = {}
    for job in books.jobs:
        attempt = books.attempt_of.get(job.id)
        if attempt is not None and job.accepted_at is not None:
            known.setdefault(attempt.asset_id, []).append((attempt, job, job.accepted_at))
    for asset_id, jobs in known.items():
        jobs.sort(key=lambda each: each[0].number)
        for index, (attempt, _, accepted_at) in enumerate(jobs):
            for earlier, its_job, _ in jobs[:index]:
                if earlier.id not in forgiven:
                    let_go = min(
                        its_job.finished_at or NEVER, earlier.release_requested_at or NEVER
                    )
                    what = (
                        f"attempt {attempt.number} was accepted while {earlier.number} was wanted"
                    )
                    finding.require(let_go <= accepted_at, asset_id, what)
    return finding


def _published_late(books: Books) -> set[str]:
    """Return the attempts that had been given up and whose success was used."""
    return {
        books.output_of[event.detail["output_id"]].attempt_id
        for event in books.events
        if event.type == EventType.LATE_SUCCESS
    }


def none_orphaned(books: Books) -> Finding:
    """Require that each job is over, was given up at the provider, is wanted, or owed a release.

    A DELETE that came before the job existed gave up nothing: the job runs on, paid and unwanted.
    """
    finding = Finding()
    kept = {output.attempt_id for output in books.outputs if output.removed_at is None}
    for job in books.jobs:
        attempt = books.attempt_of.get(job.id)
        is_owed = attempt is not None and attempt.is_owed_release
        over = job.status in OVER or job.given_up
        holds = over or is_owed or _is_wanted(books, job, attempt, kept)
        what = f"job {job.id} ({job.status}) is unwanted, and was never given up: {attempt}"
        finding.require(holds, attempt.asset_id if attempt else None, what)
    return finding


def _is_wanted(books: Books, job: JobEntry, attempt: AttemptRow | None, kept: set[str]) -> bool:
    asset = books.asset_of.get(attempt.asset_id) if attempt else None
    if asset is None or asset.deleted_at is not None:
        return False
    is_current, completed = asset.attempt_id == job.id, job.status == "completed"
    if completed and job.id in kept:
        return True  # published, or kept for present viewers and for a rollback
    # The provider may report a finished job again after its outputs were refused, until another
    # attempt takes its place.
    return is_current and (
        asset.status == Status.PROCESSING or (completed and asset.error_code != "cancelled")
    )


def owed_releases_are_paid(books: Books) -> Finding:
    """Require that each requested release was made."""
    finding = Finding()
    for attempt in books.attempts:
        if attempt.release_requested_at is not None:
            what = f"attempt {attempt.number} is still owed its release"
            finding.require(attempt.released_at is not None, attempt.asset_id, what)
    return finding
