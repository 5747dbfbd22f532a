"""Query for the console's audit page: operators' actions and events of no single video."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipeline.records.models import AuditEvent


@dataclass(frozen=True)
class AuditFilter:
    """Filter of the audit events.

    Attributes:
        actor: The exact actor; None for any.
        everything: Include refused callbacks besides operators' actions.
    """

    actor: str | None = None
    everything: bool = False


def page(
    session: Session, wanted: AuditFilter, *, before: int | None, limit: int
) -> Sequence[AuditEvent]:
    """Return events with ids below ``before``, latest first.

    Indexes: ``audit_events_actor``, ``audit_events_operators``, the primary key.
    """
    query = select(AuditEvent)
    if wanted.actor is not None:
        query = query.where(AuditEvent.actor == wanted.actor)
    elif not wanted.everything:
        query = query.where(AuditEvent.actor.like("operator:%"))
    if before is not None:
        query = query.where(AuditEvent.id < before)
    return session.scalars(query.order_by(AuditEvent.id.desc()).limit(limit)).all()
