"""How many videos are taken up before one that waits, and how long that may take."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Uuid, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session


class PlaceInQueue(NamedTuple):
    """A place in the queue of what is due.

    Attributes:
        position: 1 is next.
        wait_sec: Until it is taken up, at the pace of the last hour; None where too little
            completed to say.
    """

    position: int
    wait_sec: float | None


def queue_places(session: Session, asset_ids: Sequence[UUID]) -> Mapping[UUID, PlaceInQueue]:
    """The places of these assets; those that do not wait, or far back (over 1000), have none.

    Everybody's videos count and nothing of them is told, so that an owner's session may ask.
    Indexes: ``video_assets_due``, ``video_assets_completed``, of each a bounded piece.
    """
    called = func.khronika_turns(cast(list(asset_ids), ARRAY(Uuid)))
    rows = session.execute(select(*called.table_valued("asset_id", "place", "wait_sec").c))
    return {asset_id: PlaceInQueue(place, wait_sec) for asset_id, place, wait_sec in rows}
