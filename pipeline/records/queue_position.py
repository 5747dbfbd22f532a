"""Place of a waiting video in the queue of due videos, and the estimated wait."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Uuid, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session


class PlaceInQueue(NamedTuple):
    """A place in the queue of due videos.

    Attributes:
        position: 1 is next.
        wait_sec: Estimated wait at the pace of the last hour; None if too few videos completed
            for an estimate.
    """

    position: int
    wait_sec: float | None


def queue_places(session: Session, asset_ids: Sequence[UUID]) -> Mapping[UUID, PlaceInQueue]:
    """Return the places of the assets that wait; an asset beyond place 1000 has none.

    The videos of all owners count, and the result reveals nothing else about them, so an owner's
    session may ask. Indexes: a bounded piece of ``video_assets_due`` and
    ``video_assets_completed``.
    """
    called = func.khronika_turns(cast(list(asset_ids), ARRAY(Uuid)))
    rows = session.execute(select(*called.table_valued("asset_id", "place", "wait_sec").c))
    return {asset_id: PlaceInQueue(place, wait_sec) for asset_id, place, wait_sec in rows}
