"""The audit of operators' deeds over HTTP, in the transaction of the deed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import g
from sqlalchemy.orm import Session

from api.access.caller import Role, caller
from api.documents.schemas import AssetOut, CardOut
from api.http.client_address import client_address
from api.wiring.services import services
from pipeline.domain.audit_types import AuditType
from pipeline.records import store
from pipeline.runtime.database import session_of


def audit_operator(
    session: Session, action: AuditType, **concerned: UUID | str | Sequence[UUID]
) -> None:
    """Record a deed of an operator; an owner's actions are in the chronicle alone.

    Call it in the transaction of the deed, after it: both are committed, or neither.

    Args:
        session: The transaction of the deed.
        concerned: Ids of the rows that were changed or read; never a secret.
    """
    who = caller()
    if who.role is Role.OWNER:
        return
    _record(session, action, who.actor, concerned)


def audit_media(session: Session, shown: Iterable[AssetOut | CardOut]) -> None:
    """Record that an operator is given addresses that open signed videos, in one event."""
    opened = [
        each.id if isinstance(each, AssetOut) else each.asset_id
        for each in shown
        if each.urls_expire_at is not None
    ]
    if opened:
        audit_operator(session, AuditType.MEDIA_READ, assets=opened)


def audit_stream(subject: str, posts: Sequence[UUID]) -> None:
    """Record that the ticket of an operator opened a stream, in a transaction of its own."""
    with session_of(services().engines.operator) as session:
        _record(session, AuditType.STREAM_OPENED, f"operator:{subject}", {"posts": posts})


def _record(session: Session, action: AuditType, actor: str, concerned: Mapping[str, Any]) -> None:
    store.audit(
        session,
        action,
        actor=actor,
        source=client_address(),
        request_id=g.request_id,
        detail={name: _written(value) for name, value in concerned.items()},
    )


def _written(value: UUID | str | Sequence[UUID]) -> str | list[str]:
    return str(value) if isinstance(value, str | UUID) else list(map(str, value))
