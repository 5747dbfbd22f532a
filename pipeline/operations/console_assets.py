"""One video as operators see it: its row, its attempts, what was made of it."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipeline.domain.errors import NotFound
from pipeline.records.models import Asset, Attempt, Output, Upload

SHOWN = 50
"""Attempts and outputs of a video that are shown, the newest: hardly any has as many."""


def asset(session: Session, asset_id: UUID) -> Asset:
    """A video by its own id, a deleted one included.

    Raises:
        NotFound: ``asset_not_found``.
    """
    found = session.get(Asset, asset_id)
    if found is None:
        raise NotFound("asset_not_found", "There is no video with this id.")
    return found


def attempts(session: Session, asset_id: UUID) -> Sequence[Attempt]:
    """Its attempts, newest first. Index: ``provider_attempts_asset``."""
    return session.scalars(
        select(Attempt)
        .where(Attempt.asset_id == asset_id)
        .order_by(Attempt.number.desc())
        .limit(SHOWN)
    ).all()


def outputs(session: Session, asset_id: UUID) -> Sequence[Output]:
    """What was made of it, newest first. Index: ``video_outputs_asset``."""
    return session.scalars(
        select(Output)
        .where(Output.asset_id == asset_id)
        .order_by(Output.generation.desc(), Output.verified_at.desc())
        .limit(SHOWN)
    ).all()


def upload(session: Session, asset: Asset) -> Upload | None:
    """The upload that it came by, while the ticket is kept."""
    return session.get(Upload, asset.upload_id) if asset.upload_id else None
