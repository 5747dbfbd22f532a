"""A provider's word about an attempt, however it came to us."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from pipeline.domain.values import ProviderStatus
from pipeline.runtime.wakes import Wake


@dataclass(frozen=True)
class News:
    """A provider's word about an attempt, and how it came to us.

    Attributes:
        actor: ``provider:{name}`` for a callback, ``sweep`` for a poll.
        event_id: The callback's event id; None for a poll.
        settle_delivery: Called in the transaction that applies the news, with what became of it:
            ``applied`` or ``ignored``, and a reason.
    """

    attempt_id: UUID
    asset_id: UUID
    status: ProviderStatus
    actor: str
    event_id: str | None
    settle_delivery: Callable[[Session, str, str | None], None]


@dataclass(frozen=True)
class Applied:
    """What became of the news, in a word, and whom to wake."""

    what: str
    wakes: tuple[Wake, ...] = ()
