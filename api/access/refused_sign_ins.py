"""The audit of refused sign-ins: to the console, and of callers who claim to be operators."""

from flask import g
from sqlalchemy import text

from api.http.client_address import client_address
from api.wiring.services import services
from pipeline.domain.audit_types import AuditType
from pipeline.runtime.database import session_of

UNKNOWN = "operator:?"
"""The actor of a sign-in that proved no name."""
REFUSALS_PER_MINUTE = 20
"""Events of one address, so that a flood of bad tokens does not fill the audit."""


def audit_refused_sign_in(reason: str, *, actor: str = UNKNOWN) -> None:
    """Record a refused sign-in in a transaction of its own, and nothing of the credential.

    Without a login of operators there is no console and no operator, so nothing is recorded.
    """
    engine = services().engines.operator_login
    if engine is None:
        return
    with session_of(engine) as session:
        session.execute(
            text("""
                INSERT INTO audit_events (type, reason, actor, source, request_id)
                SELECT :type, :reason, :actor, :source, :request_id
                WHERE (SELECT count(*) FROM audit_events
                       WHERE source = :source AND type = :type
                         AND created_at > now() - interval '1 minute') < :bound
            """),
            {
                "type": AuditType.SIGN_IN_REFUSED,
                "reason": reason,
                "actor": actor,
                "source": client_address(),
                "request_id": g.request_id,
                "bound": REFUSALS_PER_MINUTE,
            },
        )
