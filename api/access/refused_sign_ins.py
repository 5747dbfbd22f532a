"""The audit of refused sign-ins: to the console, and of callers who claim to be operators."""

from flask import g

from api.http.client_address import client_address
from api.wiring.services import services
from pipeline.domain.audit_types import AuditType
from pipeline.records import store
from pipeline.records.audit_floods import has_room_for
from pipeline.runtime.database import session_of

UNKNOWN = "operator:?"
"""The actor of a sign-in that proved no name."""


def audit_refused_sign_in(reason: str, *, actor: str = UNKNOWN) -> None:
    """Record a refused sign-in in a transaction of its own, and nothing of the credential.

    The events of one network in a minute are bounded, so that a flood does not fill the audit.
    Without a login of operators there is no console and no operator, so nothing is recorded.
    """
    engine = services().engines.operator_login
    if engine is None:
        return
    source = client_address()
    with session_of(engine) as session:
        if has_room_for(session, source, AuditType.SIGN_IN_REFUSED):
            store.audit(
                session,
                AuditType.SIGN_IN_REFUSED,
                reason=reason,
                actor=actor,
                source=source,
                request_id=g.request_id,
            )
