"""Bound of the refusals of one network in the audit, so that a flood does not fill it."""

from itertools import takewhile

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.orm import Session

from pipeline.domain.audit_types import AuditType
from pipeline.net.client_networks import network_of
from pipeline.records.models import AuditEvent

REFUSALS_PER_MINUTE = 20
"""Events of one network. Each request that is refused at the same moment may add one more."""


def has_room_for(session: Session, source: str, type_: AuditType | None = None) -> bool:
    """Return True if the last minute has fewer events of a client's network than the bound.

    Args:
        session: A transaction of a role that may read the sources of the audit.
        source: The address of the client.
        type_: The type of the events that count; None for every type.
    """
    network = network_of(source)
    found = select(AuditEvent.source).where(
        _may_be_in(network),
        AuditEvent.created_at > func.now() - text("interval '1 minute'"),
        *([AuditEvent.type == type_] if type_ else []),
    )
    same = [each for each in session.scalars(found) if each and network_of(each) == network]
    return len(same) < REFUSALS_PER_MINUTE


def _may_be_in(network: str) -> ColumnElement[bool]:
    """Return the condition that every source in a network meets, and few others do."""
    if "/" not in network:
        return AuditEvent.source == network
    return AuditEvent.source.startswith(shared_text(network), autoescape=True)


def shared_text(network: str) -> str:
    """Return the text with which the shortest form of every address of an IPv6 network begins.

    The form (RFC 5952) may leave out each group that is zero, so that only the groups before the
    first zero are in all of them.
    """
    shared = takewhile(lambda group: group not in {"", "0"}, network.partition("/")[0].split(":"))
    return "".join(f"{group}:" for group in shared)
