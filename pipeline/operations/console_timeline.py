"""Query for the console's timeline of a video: its events with the time between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy.orm import Session

from pipeline.domain.states import Status
from pipeline.records.models import Delivery, Event

FAILURES = (Status.FAILED, Status.RETRYING)
"""States that an asset enters after a failure."""


@dataclass(frozen=True)
class Window:
    """Part of the chronicle: before an event, after an event, or, without either, its end."""

    before: int | None = None
    after: int | None = None


class Callback(NamedTuple):
    """The inbox's delivery of an event's callback."""

    id: UUID
    body_sha256: str


@dataclass(frozen=True)
class Line:
    """An event and the time since the one shown before it.

    Attributes:
        gap_sec: None for the first event.
        callback: The delivery of the event's callback, if it has one.
        opens: True if the line above belongs to another attempt.
    """

    event: Event
    gap_sec: float | None
    callback: Callback | None
    opens: bool


@dataclass(frozen=True)
class Timeline:
    """A page of events, oldest first.

    Attributes:
        has_earlier: True if there are events before the first one.
        has_later: True if there are events after the last one.
    """

    lines: Sequence[Line]
    has_earlier: bool
    has_later: bool


def timeline(
    session: Session, asset_id: UUID, window: Window, *, failures_only: bool, limit: int
) -> Timeline:
    """Return a page of the chronicle.

    The indexes, the partitions' primary keys ``(asset_id, seq, created_at)`` and
    ``video_processing_events_failures``, make the last page of ten thousand events as cheap as the
    first.

    Args:
        failures_only: Return only events that entered ``failed`` or ``retrying``; the gaps are
            then the times between failures.
        limit: Events of a page.
    """
    events = _events(session, asset_id, window, failures_only=failures_only, limit=limit)
    if not events:
        return Timeline((), has_earlier=False, has_later=False)
    first, last = events[0].seq, events[-1].seq
    of_asset = _chosen(asset_id, failures_only=failures_only)
    above = session.scalars(
        of_asset.where(Event.seq < first).order_by(Event.seq.desc()).limit(1)
    ).one_or_none()
    below = session.scalars(of_asset.where(Event.seq > last).order_by(Event.seq).limit(1))
    lines = _lines(above, events, _callbacks(session, events))
    return Timeline(lines, has_earlier=above is not None, has_later=below.first() is not None)


def _chosen(asset_id: UUID, *, failures_only: bool) -> Select[Event]:
    wanted: list[ColumnElement[bool]] = [Event.asset_id == asset_id]
    if failures_only:
        wanted.append(Event.to_status.in_(FAILURES))
    return select(Event).where(*wanted)


def _events(
    session: Session, asset_id: UUID, window: Window, *, failures_only: bool, limit: int
) -> Sequence[Event]:
    query = _chosen(asset_id, failures_only=failures_only).limit(limit)
    if window.after is not None:
        return session.scalars(query.where(Event.seq > window.after).order_by(Event.seq)).all()
    if window.before is not None:
        query = query.where(Event.seq < window.before)
    return session.scalars(query.order_by(Event.seq.desc())).all()[::-1]


def _callbacks(session: Session, events: Sequence[Event]) -> Mapping[tuple[str, str], Callback]:
    """Return the deliveries of the events' callbacks. Index: ``webhook_deliveries_event``."""
    named = {
        (event.provider, event.provider_event_id)
        for event in events
        if event.provider and event.provider_event_id
    }
    if not named:
        return {}
    columns = (Delivery.provider, Delivery.event_id)
    rows = session.execute(
        select(*columns, Delivery.id, Delivery.body_sha256).where(tuple_(*columns).in_(named))
    )
    return {(row.provider, row.event_id): Callback(row.id, row.body_sha256) for row in rows}


def _lines(
    above: Event | None,
    events: Sequence[Event],
    callbacks: Mapping[tuple[str, str], Callback],
) -> list[Line]:
    return [
        Line(
            event=event,
            gap_sec=(event.created_at - before.created_at).total_seconds() if before else None,
            callback=callbacks.get((event.provider or "", event.provider_event_id or "")),
            opens=before is None or before is above or _attempt(event) != _attempt(before),
        )
        for before, event in zip([above, *events], events, strict=False)
    ]


def _attempt(event: Event) -> tuple[int, int | None]:
    return event.generation, event.attempt
