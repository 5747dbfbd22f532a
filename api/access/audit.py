"""What operators do over HTTP is written down, in the transaction of what they do."""

from uuid import UUID

from flask import g
from sqlalchemy.orm import Session

from api.access.caller import Role, caller
from api.http.client_address import client_address
from pipeline.records import store


def audit_operator(session: Session, action: str, **concerned: UUID | str) -> None:
    """Write down an action of an operator; an owner's is in the chronicle alone.

    Call it in the transaction of the action, after it: both are committed, or neither.

    Args:
        session: That transaction.
        action: What was done, as the route is called: ``retry``, ``delete``, ….
        concerned: Ids of what it was done to; never a secret.
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
