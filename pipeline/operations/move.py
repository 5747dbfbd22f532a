"""The move of published videos from one provider account to another.

A video is encoded anew at the other account, from its source. Its outputs stay published until the
new ones have passed the gate. A day after that their job at the old account is released. A move
that was interrupted goes on where it stopped: the rows say which videos are still at the old
account.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, cast, exists, func, or_, select
from sqlalchemy.orm import Session

from pipeline.content.source_facts import facts_of
from pipeline.domain.errors import StaleTransition
from pipeline.domain.prices import Prices
from pipeline.domain.states import LIVE, Status
from pipeline.limits.account_choice import lasting_reason_against
from pipeline.records import store, transitions
from pipeline.records.models import Asset, Attempt, Event, Output
from pipeline.services import Services

MOST_UNDER_WAY = 200
"""Videos that may be on their way to an account: while it makes no progress, none is added."""


@dataclass(frozen=True)
class Move:
    """A move: the account whose videos are to leave, and the account that they are to go to.

    Attributes:
        without_captions: Videos move too whose captions are at the old vendor alone.
    """

    source: str
    target: str
    without_captions: bool = False


@dataclass(frozen=True)
class MovePreview:
    """The extent of a move.

    Attributes:
        videos: Completed videos that the old account has.
        media_sec: Their length.
        under_way: Videos that wait for the new account or are encoded there.
        failed: Videos that the old account still has because an encode failed: to be retried.
        captioned: Completed videos with captions that the new account would not have.
        encoding_cost: Estimate, at the new account's price.
        monthly_cost_change: Estimated change of the cost of storing them.
        delivery_cost_change: Estimated change of the monthly cost of delivering them; None without
            a number of delivered minutes.
    """

    videos: int
    media_sec: float
    under_way: int
    failed: int
    captioned: int
    encoding_cost: float
    monthly_cost_change: float
    delivery_cost_change: float | None = None


HAS_FAULTY_CAPTIONS = exists().where(
    Event.asset_id == Output.asset_id,
    Event.detail["output_id"].astext == cast(Output.id, Text),
    Event.detail.has_key("captions_left_out"),
)
"""The gate found captions that it did not list. Players may show them all the same."""
HAS_CAPTIONS = or_(func.jsonb_array_length(Output.captions) > 0, HAS_FAULTY_CAPTIONS)


class MoveStep(NamedTuple):
    """The result of one step.

    Attributes:
        asset_id: The video that was looked at; None if none is left.
        reason: The reason for which it was not queued; None if it was.
    """

    asset_id: UUID | None
    reason: str | None = None


def preview_move(
    session: Session,
    move: Move,
    prices: Mapping[str, Prices],
    *,
    delivered_sec: float | None = None,
) -> MovePreview:
    """Count the videos of a move, and estimate its cost.

    Args:
        prices: By account; an account without prices costs nothing.
        delivered_sec: Length of the video that viewers are sent in a month. The vendor counts it,
            and we do not; None if the operator does not say.
    """
    held = _held(move.source).with_only_columns(
        Asset.status, func.count(), func.coalesce(func.sum(Asset.duration_sec), 0.0)
    )
    counted = {
        status: (count, media_sec)
        for status, count, media_sec in session.execute(held.group_by(Asset.status))
    }
    videos, length = counted.get(Status.COMPLETED, (0, 0.0))
    failed, _ = counted.get(Status.FAILED, (0, 0.0))
    media_sec = length or 0.0
    old, new = (prices.get(name, Prices()) for name in (move.source, move.target))
    return MovePreview(
        videos,
        media_sec,
        count_under_way(session, move.target),
        failed,
        _count_captioned(session, move),
        new.encoding(media_sec),
        new.storage(media_sec) - old.storage(media_sec),
        None
        if delivered_sec is None
        else new.delivery(delivered_sec) - old.delivery(delivered_sec),
    )


def _count_captioned(session: Session, move: Move) -> int:
    completed = _held(move.source, Asset.status == Status.COMPLETED, HAS_CAPTIONS)
    return session.scalars(select(func.count()).select_from(completed.subquery())).one()


def movable(session: Session, move: Move) -> Sequence[UUID]:
    """Return the completed videos at the old account."""
    completed = _held(move.source, Asset.status == Status.COMPLETED)
    return session.scalars(completed.with_only_columns(Asset.id).order_by(Asset.id)).all()


def count_under_way(session: Session, target: str) -> int:
    """Count the videos on their way to an account. Index: ``video_assets_wanted``."""
    moving = (Asset.wanted_provider == target, Asset.status.in_(LIVE), Asset.deleted_at.is_(None))
    return session.scalars(select(func.count()).select_from(Asset).where(*moving)).one()


def move_next(
    services: Services, session: Session, move: Move, *, after: UUID | None, actor: str
) -> MoveStep:
    """Queue the next video of a move.

    Safe to run twice and beside other runs: only a completed video at the old account is queued,
    under its lock. A video whose source the new account cannot process stays where it is.

    Args:
        after: The last video that was looked at; None for none.
    """
    query = _held(move.source, Asset.status == Status.COMPLETED)
    if after is not None:
        query = query.where(Asset.id > after)
    asset = session.scalars(
        query.order_by(Asset.id).limit(1).with_for_update(of=Asset, skip_locked=True)
    ).one_or_none()
    if asset is None:
        return MoveStep(None)
    if not move.without_captions and _has_captions(session, asset):
        return MoveStep(asset.id, "has_captions")
    provider = services.providers[move.target]
    lacking = lasting_reason_against(services, asset, provider, facts_of(asset))
    if lacking is not None:
        return MoveStep(asset.id, lacking.value)
    change = transitions.move_requested(
        asset,
        move.source,
        move.target,
        actor,
        deadline_sec=services.settings.retry.wait_deadline_sec,
    )
    try:
        store.advance(session, asset, change)
    except StaleTransition:
        return MoveStep(asset.id, "changed")
    return MoveStep(asset.id)


def _has_captions(session: Session, asset: Asset) -> bool:
    """Return true if the published manifest offers captions: an encode of the source has none.

    Captions that are not listed count, too.
    """
    published = select(Output.id).where(Output.id == asset.published_output_id, HAS_CAPTIONS)
    return session.scalars(published).one_or_none() is not None


def _held(source: str, *conditions: ColumnElement[bool]) -> Select[Asset]:
    """Return the query for assets whose published output an account has."""
    return (
        select(Asset)
        .join(Output, Output.id == Asset.published_output_id)
        .join(Attempt, Attempt.id == Output.attempt_id)
        .where(Attempt.provider == source, Asset.deleted_at.is_(None), *conditions)
    )
