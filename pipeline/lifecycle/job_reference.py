"""The job of an attempt, as its provider is asked about it."""

from pipeline.domain.values import JobRef
from pipeline.records.models import Asset, Attempt


def job_of(attempt: Attempt, asset: Asset | None = None) -> JobRef:
    """Return the reference of an attempt's job.

    Args:
        asset: For the owner's choices, which some providers are told in a call of their own.
    """
    return JobRef(
        attempt_id=attempt.id,
        provider_job_id=attempt.provider_job_id,
        intended_at=attempt.intended_at or attempt.created_at,
        vendor=attempt.vendor,
        poster_time_sec=asset.poster_time_sec if asset else None,
    )
