"""Publish the outputs of the generation before again."""

from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from pipeline.domain.errors import Conflict
from pipeline.domain.values import EventDraft
from pipeline.records import queries, store
from pipeline.records.models import Asset, Attempt, Output


def rollback_asset(session: Session, post_id: UUID, *, actor: str) -> Asset:
    """Switch back to the outputs that were published last before the present ones.

    One transaction: viewers see the one or the other. Again is forward again, as long as the
    retired outputs have not been purged.

    Raises:
        NotFound: ``post_not_found``.
        Conflict: ``nothing_to_roll_back``.
        StaleTransition: the asset moved on since it was read.
    """
    asset = queries.asset_of_post(session, post_id)
    previous = session.scalars(
        select(Output)
        .where(
            Output.asset_id == asset.id,
            Output.retired_at.is_not(None),
            Output.removed_at.is_(None),
        )
        .order_by(Output.retired_at.desc())
        .limit(1)
        .with_for_update()
    ).one_or_none()
    if asset.published_output_id is None or previous is None:
        raise Conflict("nothing_to_roll_back", "No earlier outputs are kept of this video.")
    _retire(session, asset.published_output_id)
    _publish(session, previous)
    return store.amend(
        session,
        asset,
        EventDraft(
            "rolled_back",
            actor,
            {"from": str(asset.published_output_id), "to": str(previous.id)},
        ),
        published_output_id=previous.id,
        manifest_url=previous.manifest_url,
        fallback_url=previous.fallback_url,
        poster_url=previous.poster_url,
        thumbnail_url=previous.thumbnail_url,
        storyboard_url=previous.storyboard_url,
        duration_sec=previous.duration_sec,
        width=previous.width,
        height=previous.height,
    )


def _retire(session: Session, output_id: UUID) -> None:
    session.execute(
        update(Output)
        .where(Output.id == output_id)
        .values(retired_at=func.now())
        .execution_options(synchronize_session=False)
    )


def _publish(session: Session, output: Output) -> None:
    session.execute(
        update(Output)
        .where(Output.id == output.id)
        .values(retired_at=None, published_at=func.now())
        .execution_options(synchronize_session=False)
    )
    store.update_attempt(session, output.attempt_id, purge_at=None)
    store.discard(session, Attempt.asset_id == output.asset_id, Attempt.id != output.attempt_id)
