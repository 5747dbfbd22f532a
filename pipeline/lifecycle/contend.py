"""Ask for a change that others may be asking for too: one wins, the others are told what is."""

from collections.abc import Callable
from uuid import UUID

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from pipeline.domain.errors import Conflict, StaleTransition
from pipeline.records import queries
from pipeline.records.models import Asset
from pipeline.runtime.database import lock_timed_out


def write_or_conflict(session: Session, post_id: UUID, write: Callable[[], Asset]) -> Asset:
    """Write what was asked, unless the asset moved on, or is moving on, since it was read.

    Raises:
        Conflict: ``status_changed``, with the current state.
        NotFound: ``post_not_found``: it was deleted meanwhile.
    """
    try:
        # A savepoint: after a lock that was not granted the transaction must be able to read on.
        with session.begin_nested():
            return write()
    except StaleTransition as error:
        cause: Exception = error
    except OperationalError as error:
        if not lock_timed_out(error):
            raise
        cause = error
    current = queries.asset_of_post(session, post_id)
    raise conflict("status_changed", "Its state has just changed.", current) from cause


def conflict(code: str, message: str, asset: Asset) -> Conflict:
    """What stands in the way, and the state the asset is in."""
    return Conflict(code, message, status=asset.status.value, attempt=asset.attempt)
