"""Queries for the console's page of one video: its row, attempts, outputs and upload."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipeline.domain.errors import NotFound
from pipeline.domain.prices import Prices
from pipeline.records.models import Asset, Attempt, Output, Upload

MOST_ROWS = 50
"""Newest attempts, or outputs, of a video on its page; hardly any video has as many."""


def asset(session: Session, asset_id: UUID) -> Asset:
    """Return a video by its own id, also a deleted one.

    Raises:
        NotFound: ``asset_not_found``.
    """
    found = session.get(Asset, asset_id)
    if found is None:
        raise NotFound("asset_not_found", "There is no video with this id.")
    return found


def attempts(session: Session, asset_id: UUID) -> Sequence[Attempt]:
    """Return the video's attempts, newest first. Index: ``provider_attempts_asset``."""
    return session.scalars(
        select(Attempt)
        .where(Attempt.asset_id == asset_id)
        .order_by(Attempt.number.desc())
        .limit(MOST_ROWS)
    ).all()


def encoding_costs(
    attempts: Sequence[Attempt], prices: Mapping[str, Prices]
) -> Mapping[UUID, float]:
    """Return the estimated cost of each attempt that its provider accepted, by attempt.

    An attempt whose account has no price, or is not configured any more, has no cost here.
    """
    return {
        attempt.id: prices[attempt.provider].encoding(attempt.reserved_sec)
        for attempt in attempts
        if attempt.submitted_at is not None
        and attempt.reserved_sec is not None
        and attempt.provider in prices
        and prices[attempt.provider].encoded_minute > 0
    }


def outputs(session: Session, asset_id: UUID) -> Sequence[Output]:
    """Return the video's outputs, newest first. Index: ``video_outputs_asset``."""
    return session.scalars(
        select(Output)
        .where(Output.asset_id == asset_id)
        .order_by(Output.generation.desc(), Output.verified_at.desc())
        .limit(MOST_ROWS)
    ).all()


def upload(session: Session, asset: Asset) -> Upload | None:
    """Return the upload of the video's source, while the ticket is kept."""
    return session.get(Upload, asset.upload_id) if asset.upload_id else None
