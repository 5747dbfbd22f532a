"""What one owner may have sent and made no video of: it fills the storage and costs no quota.

Tickets of an owner are issued one after the other, so that two at the limit cannot both pass. What
is given up, expired or claimed by a video counts no more.
"""

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from pipeline.config.limit_settings import OwnerLimitSettings
from pipeline.domain.errors import LimitReached
from pipeline.limits.owner_quotas import owner_is_busy
from pipeline.records.models import Upload

RETRY_SEC = 60
"""What an owner with too much of it is told to wait: room is for the owner to make."""


def refuse_unclaimed(
    session: Session, limits: OwnerLimitSettings, owner_id: str, *, asked_bytes: int
) -> None:
    """Refuse one more ticket where too much is unused; the owner's other tickets wait meanwhile.

    Raises:
        LimitReached: ``too_many_uploads``, ``owner_busy``.
    """
    turn = func.pg_advisory_xact_lock(func.hashtextextended(f"uploads of {owner_id}", 0))
    with owner_is_busy():
        session.execute(select(turn))
    # A statement of its own: it sees what whoever had the turn before has committed.
    count, size_bytes = session.execute(
        select(func.count(), func.coalesce(func.sum(Upload.size_bytes), 0)).where(
            Upload.owner_id == owner_id,
            Upload.claimed_at.is_(None),
            or_(Upload.completed_at.is_not(None), Upload.expires_at > func.now()),
        )
    ).one()
    if count >= limits.max_uploads:
        raise _refused("uploads", limits.max_uploads, int(count), 1)
    if count and size_bytes + asked_bytes > limits.max_upload_bytes:
        raise _refused("bytes", limits.max_upload_bytes, int(size_bytes), asked_bytes)


def _refused(quota: str, limit: int, used: int, asked: int) -> LimitReached:
    held = "uploads" if quota == "uploads" else "bytes of uploads"
    return LimitReached(
        "too_many_uploads",
        f"An owner may have {limit} {held} that no video is made of: {used} are there, and this "
        f"file needs {asked}. Register some, or give up what is not complete; what is left over "
        "goes by itself when its time is over.",
        retry_after_sec=RETRY_SEC,
        quota=quota,
        limit=limit,
        used=used,
        asked=asked,
    )
