"""Search for a video by any of its ids."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipeline.records.models import Asset, Attempt
from pipeline.runtime.ids import read_id

LIMIT = 20


def find(session: Session, words: str) -> Sequence[Asset]:
    """Return the videos that an id belongs to.

    Args:
        words: The id of an asset, of a post (its live video), of an attempt, or of a job at any
            provider. Indexes: primary keys, ``video_assets_post_live``,
            ``provider_attempts_job (provider_job_id, provider)``.
    """
    ids = _of_job(session, words)
    named = _uuid(words)
    if named is not None:
        ids |= _of_uuid(session, named)
    if not ids:
        return []
    return session.scalars(select(Asset).where(Asset.id.in_(sorted(ids))).limit(LIMIT)).all()


def _of_job(session: Session, words: str) -> set[UUID]:
    jobs = select(Attempt.asset_id).where(Attempt.provider_job_id == words).limit(LIMIT)
    return set(session.scalars(jobs))


def _of_uuid(session: Session, named: UUID) -> set[UUID]:
    live = select(Asset.id).where(Asset.post_id == named, Asset.deleted_at.is_(None))
    attempt = select(Attempt.asset_id).where(Attempt.id == named)
    return {named, *session.scalars(live), *session.scalars(attempt)}


def _uuid(words: str) -> UUID | None:
    try:
        return read_id(words)
    except ValueError:
        return None
