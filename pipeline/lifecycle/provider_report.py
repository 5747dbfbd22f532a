"""A provider's report about an attempt, from a callback or from a poll."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from pipeline.domain.values import DeliveryStatus, ProviderStatus
from pipeline.runtime.wakes import Wake


@dataclass(frozen=True)
class ProviderReport:
    """The state of an attempt's job as its provider reports it.

    Attributes:
        actor: ``provider:{name}`` for a callback, ``sweep`` for a poll.
        event_id: The callback's event id; None for a poll.
        settle_delivery: Called in the transaction that applies the report, with the result
            (``applied`` or ``ignored``) and the reason.
    """

    attempt_id: UUID
    asset_id: UUID
    status: ProviderStatus
    actor: str
    event_id: str | None
    settle_delivery: Callable[[Session, DeliveryStatus, str | None], None]


@dataclass(frozen=True)
class Applied:
    """Result of applying a report, in a word, and the workers to wake."""

    result: str
    wakes: tuple[Wake, ...] = ()
