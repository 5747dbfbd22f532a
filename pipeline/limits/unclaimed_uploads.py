"""Limit of an owner's uploads without a video: they fill the storage and use no quota.

Tickets of an owner are issued one after the other, so that two at the limit cannot both pass. An
upload that is abandoned, expired or claimed by a video does not count.
"""

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from pipeline.access.enrolment import not_enrolled
from pipeline.config.limit_settings import OwnerLimitSettings
from pipeline.domain.errors import LimitReached
from pipeline.limits.owner_quotas import owner_is_busy
from pipeline.records.models import Upload

RETRY_SEC = 60
"""``Retry-After`` of an owner over the limit. The owner can make room at any time."""


def refuse_unclaimed(
    session: Session, limits: OwnerLimitSettings, owner_id: str, *, asked_bytes: int
) -> None:
    """Refuse a ticket over the limit. The owner's other requests for tickets wait meanwhile.

    Raises:
        Forbidden: ``not_enrolled``: no video of this owner would be processed.
        LimitReached: ``too_many_uploads``, ``owner_busy``.
    """
    lock = func.pg_advisory_xact_lock(func.hashtextextended(f"uploads of {owner_id}", 0))
    with owner_is_busy():
        session.execute(select(lock))
    # A separate statement, so that it sees the commit of the lock's previous holder.
    count, size_bytes, is_enrolled = session.execute(
        select(
            func.count(),
            func.coalesce(func.sum(Upload.size_bytes), 0),
            func.khronika_enrolled(owner_id),
        ).where(
            Upload.owner_id == owner_id,
            Upload.claimed_at.is_(None),
            or_(Upload.completed_at.is_not(None), Upload.expires_at > func.now()),
        )
    ).one()
    if not is_enrolled:
        raise not_enrolled()
    if count >= limits.max_uploads:
        raise _refused("uploads", limits.max_uploads, int(count), 1)
    if count and size_bytes + asked_bytes > limits.max_upload_bytes:
        raise _refused("bytes", limits.max_upload_bytes, int(size_bytes), asked_bytes)


def _refused(quota: str, limit: int, used: int, asked: int) -> LimitReached:
    unit = "uploads" if quota == "uploads" else "bytes of uploads"
    return LimitReached(
        "too_many_uploads",
        f"An owner may have {limit} {unit} without a video. {used} exist, and this file needs "
        f"{asked}. Register videos for some of them, or delete uploads that are not complete. An "
        "expired upload is removed automatically.",
        retry_after_sec=RETRY_SEC,
        quota=quota,
        limit=limit,
        used=used,
        asked=asked,
    )
