"""About the provider's jobs: by its own books, none twice, none forgotten."""

from datetime import UTC, datetime

from tests.chaos.evidence import AssetRow, AttemptRow, Evidence, JobEntry
from tests.chaos.invariants.finding import Finding

NEVER = datetime.max.replace(tzinfo=UTC)


def one_job_per_attempt(evidence: Evidence) -> Finding:
    """Every job is an attempt's, whose intent was committed, and was never asked for otherwise."""
    finding = Finding()
    other_bodies = set(evidence.other_bodies)
    for job in evidence.jobs:
        attempt = evidence.attempt_of.get(job.id)
        asset_id = attempt.asset_id if attempt else None
        intended = attempt is not None and attempt.intended_at is not None
        finding.require(intended, asset_id, f"job {job.id} was submitted without an intent")
        same = job.id not in other_bodies
        finding.require(same, asset_id, f"job {job.id} was submitted with two bodies")
    numbers = {(attempt.asset_id, attempt.number) for attempt in evidence.attempts}
    once = len(numbers) == len(evidence.attempts)
    finding.require(once, None, "two attempts of one asset have the same number")
    return finding


def released_before_the_next(evidence: Evidence) -> Finding:
    """When a job is accepted, every earlier job of its asset is over or its release is owed.

    One that completed late and was published is no longer owed any: the debt was dropped with the
    publication, which can only have come after.
    """
    finding = Finding()
    forgiven = _published_late(evidence)
    known: dict[str, list[tuple[AttemptRow, JobEntry]]] = {}
    for job in evidence.jobs:
        attempt = evidence.attempt_of.get(job.id)
        if attempt is not None:
            known.setdefault(attempt.asset_id, []).append((attempt, job))
    for asset_id, pairs in known.items():
        pairs.sort(key=lambda pair: pair[0].number)
        for index, (attempt, job) in enumerate(pairs):
            for earlier, its_job in pairs[:index]:
                if earlier.id in forgiven:
                    continue
                let_go = min(its_job.finished_at or NEVER, earlier.release_requested_at or NEVER)
                what = f"attempt {attempt.number} was accepted while {earlier.number} was wanted"
                finding.require(let_go <= job.accepted_at, asset_id, what)
    return finding


def _published_late(evidence: Evidence) -> set[str]:
    """The attempts whose success was used although they had been given up."""
    attempt_of = {output.id: output.attempt_id for output in evidence.outputs}
    return {
        attempt_of[event.detail["output_id"]]
        for event in evidence.events
        if event.type == "late_success"
    }


def none_orphaned(evidence: Evidence) -> Finding:
    """Each job failed, was published, is its asset's last word, or was given up at the provider.

    Given up means that a DELETE was answered after the job existed: one that came before it found
    nothing to give up, and the job runs on, paid for and unwanted.
    """
    finding = Finding()
    published = {output.attempt_id for output in evidence.outputs}
    for job in evidence.jobs:
        attempt = evidence.attempt_of.get(job.id)
        asset = evidence.asset_of.get(attempt.asset_id) if attempt else None
        settled = (
            job.status in {"failed", "cancelled"}
            or job.deleted_at is not None
            or _is_kept(job, asset, published)
        )
        what = f"job {job.id} ({job.status}) is nobody's, and was never given up"
        finding.require(settled, asset.id if asset else None, what)
    return finding


def _is_kept(job: JobEntry, asset: AssetRow | None, published: set[str]) -> bool:
    """Whether a job that ended well still belongs to a living asset."""
    if asset is None or job.status != "completed" or asset.deleted_at is not None:
        return False
    return job.id in published or (asset.attempt_id == job.id and asset.error_code != "cancelled")


def owed_releases_are_paid(evidence: Evidence) -> Finding:
    """What was to be released has been."""
    finding = Finding()
    for attempt in evidence.attempts:
        if attempt.release_requested_at is not None:
            what = f"attempt {attempt.number} is still owed its release"
            finding.require(attempt.released_at is not None, attempt.asset_id, what)
    return finding
