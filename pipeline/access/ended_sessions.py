"""Console sessions that their operators have ended: a cookie of one opens nothing any more.

A session is a signed cookie. A row remembers its end until the cookie would have expired by itself.
"""

from hashlib import sha256

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from pipeline.records.clock import from_now
from pipeline.records.models import IdempotencyRecord

ROUTE = "ops_session_ended"


def remember_end(session: Session, subject: str, name: str, *, left_sec: float) -> None:
    """End a session with the commit of this transaction. Idempotent.

    Args:
        subject: The operator.
        name: A random text of the session; only its digest is stored.
        left_sec: Seconds for which the cookie would have been valid.
    """
    session.execute(
        insert(IdempotencyRecord)
        .values(
            owner_id=subject,
            route=ROUTE,
            key=_digest(name),
            request_sha256="",
            created_at=func.now(),
            expires_at=from_now(left_sec),
        )
        .on_conflict_do_nothing()
    )


def has_ended(session: Session, subject: str, name: str) -> bool:
    """Return true if the operator has ended this session. One look-up by primary key."""
    ended = select(IdempotencyRecord.key).where(
        IdempotencyRecord.owner_id == subject,
        IdempotencyRecord.route == ROUTE,
        IdempotencyRecord.key == _digest(name),
    )
    return session.scalar(ended) is not None


def _digest(name: str) -> str:
    return sha256(name.encode()).hexdigest()
