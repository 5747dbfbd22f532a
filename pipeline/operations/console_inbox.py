"""Queries for the console's inbox of callbacks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, literal, select, tuple_
from sqlalchemy.orm import Session

from pipeline.domain.errors import NotFound
from pipeline.domain.values import DeliveryStatus
from pipeline.records.models import Delivery

STATUSES = (
    DeliveryStatus.NEW,
    DeliveryStatus.DEAD,
    DeliveryStatus.IGNORED,
    DeliveryStatus.APPLIED,
)
COUNTED = 1000
"""Deliveries of a status are counted up to here."""


@dataclass(frozen=True)
class StatusFilter:
    """Filter of the deliveries in one status, of one account or of all."""

    status: str
    provider: str | None = None


@dataclass(frozen=True)
class AssetFilter:
    """Filter of the deliveries of one video."""

    asset_id: UUID


class InboxCursor(NamedTuple):
    """End of a page."""

    received_at: datetime
    id: UUID


class DeliverySummary(NamedTuple):
    """A delivery without its body."""

    id: UUID
    provider: str
    event_id: str
    status: str
    reason: str | None
    tries: int
    body_sha256: str
    size_bytes: int
    received_at: datetime
    settled_at: datetime | None
    next_try_at: datetime | None
    asset_id: UUID | None


SUMMARY_COLUMNS = (
    *(Delivery.id, Delivery.provider, Delivery.event_id, Delivery.status, Delivery.reason),
    *(Delivery.tries, Delivery.body_sha256, func.octet_length(Delivery.body)),
    *(Delivery.received_at, Delivery.settled_at, Delivery.next_try_at, Delivery.asset_id),
)


def page(
    session: Session, wanted: StatusFilter | AssetFilter, *, before: InboxCursor | None, limit: int
) -> Sequence[DeliverySummary]:
    """Return matching deliveries after the cursor ``before``, latest first.

    Keyset-paged over ``webhook_deliveries_received (status, received_at, id)`` or
    ``webhook_deliveries_asset (asset_id, received_at, id)``.
    """
    query: Select[Any] = select(*SUMMARY_COLUMNS).where(*_conditions(wanted))
    if before is not None:
        query = query.where(tuple_(Delivery.received_at, Delivery.id) < tuple_(*before))
    order = (Delivery.received_at.desc(), Delivery.id.desc())
    return [DeliverySummary(*row) for row in session.execute(query.order_by(*order).limit(limit))]


def _conditions(wanted: StatusFilter | AssetFilter) -> list[ColumnElement[bool]]:
    if isinstance(wanted, AssetFilter):
        return [Delivery.asset_id == wanted.asset_id]
    of_status: list[ColumnElement[bool]] = [Delivery.status == wanted.status]
    if wanted.provider is not None:
        of_status.append(Delivery.provider == wanted.provider)
    return of_status


def count(session: Session, status: str) -> int:
    """Count the deliveries in a status; ``COUNTED + 1`` stands for more than ``COUNTED``.

    Index only: ``webhook_deliveries_received``.
    """
    found = select(literal(1)).where(Delivery.status == status).limit(COUNTED + 1).subquery()
    return session.scalars(select(func.count()).select_from(found)).one()


def delivery(session: Session, delivery_id: UUID) -> Delivery:
    """Return one delivery, with its body.

    Raises:
        NotFound: ``delivery_not_found``.
    """
    found = session.get(Delivery, delivery_id)
    if found is None:
        raise NotFound("delivery_not_found", "There is no delivery with this id.")
    return found
