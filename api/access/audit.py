"""The audit of operators' actions over HTTP, in the transaction of the action."""

from uuid import UUID

from flask import g
from sqlalchemy.orm import Session

from api.access.caller import Role, caller
from api.http.client_address import client_address
from pipeline.records import store


def audit_operator(session: Session, action: str, **concerned: UUID | str) -> None:
    """Record an action of an operator; an owner's actions are in the chronicle alone.

    Call it in the transaction of the action, after it: both are committed, or neither.

    Args:
        session: The transaction of the action.
        action: The name of the route: ``retry``, ``delete``, ….
        concerned: Ids of the rows it changed; never a secret.
    """
    who = caller()
    if who.role is Role.OWNER:
        return
    store.audit(
        session,
        action,
        actor=who.actor,
        source=client_address(),
        request_id=g.request_id,
        detail={name: str(value) for name, value in concerned.items()},
    )
