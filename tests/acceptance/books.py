"""What the database holds, read with the operator's login: the rows behind the answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Select, select

from pipeline.records.models import Asset, Attempt, AuditEvent, Delivery, Event, Output
from pipeline.runtime.database import make_engine, session_of

Row = TypeVar("Row", Asset, Attempt, AuditEvent, Delivery, Event, Output)

EVENT_MEMBERS = tuple(name for name in Event.__table__.columns.keys() if name != "asset_id")  # noqa: SIM118 - a collection of columns
"""Every column of an event but the asset's id, which the address of the chronicle stands for."""


@dataclass(frozen=True)
class Books:
    """One stack's tables. Reads only."""

    operator_url: str

    def asset(self, asset_id: UUID) -> Asset:
        """The asset's row."""
        return self._rows(select(Asset).where(Asset.id == asset_id))[0]

    def attempts(self, asset_id: UUID) -> Sequence[Attempt]:
        """The asset's attempts, first to last."""
        return self._rows(
            select(Attempt).where(Attempt.asset_id == asset_id).order_by(Attempt.number)
        )

    def events(self, asset_id: UUID) -> Sequence[Event]:
        """The asset's chronicle."""
        return self._rows(select(Event).where(Event.asset_id == asset_id).order_by(Event.seq))

    def outputs(self, asset_id: UUID) -> Sequence[Output]:
        """What has been published of the asset."""
        return self._rows(select(Output).where(Output.asset_id == asset_id))

    def deliveries(self, event_ids: Sequence[str]) -> Sequence[Delivery]:
        """The inbox rows of these callbacks, in the order they came."""
        return self._rows(
            select(Delivery)
            .where(Delivery.event_id.in_(event_ids))
            .order_by(Delivery.received_at, Delivery.event_id)
        )

    def audits_of(self, request_id: str) -> Sequence[AuditEvent]:
        """What was written down about this request, besides any chronicle."""
        return self._rows(select(AuditEvent).where(AuditEvent.request_id == request_id))

    def audits_naming(self, event_id: str) -> Sequence[AuditEvent]:
        """What was written down about this callback later, when it was applied."""
        return self._rows(
            select(AuditEvent).where(AuditEvent.detail["event_id"].as_string() == event_id)
        )

    def _rows(self, statement: Select[Row]) -> list[Row]:
        engine = make_engine(self.operator_url, pool_size=1, name="khronika evidence")
        try:
            with session_of(engine) as session:
                return list(session.scalars(statement))
        finally:
            engine.dispose()


def event_document(event: Event) -> dict[str, Any]:
    """A row of the chronicle as plain values, by column."""
    return {name: getattr(event, name) for name in EVENT_MEMBERS}


def same_events(answered: Sequence[Mapping[str, Any]], rows: Sequence[Event]) -> bool:
    """Whether the API's events are the table's rows: as many, in order, and equal throughout."""
    shown = [
        {**event, "created_at": datetime.fromisoformat(event["created_at"])} for event in answered
    ]
    return shown == [event_document(row) for row in rows]
