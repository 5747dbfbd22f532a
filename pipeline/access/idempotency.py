"""Give a repeated request its first answer again, by the Idempotency-Key it carries.

The key's row is written in the transaction of the effect itself: both are there, or neither. A
request that fails therefore keeps nothing, and may be made again with the same key.

A key remembers what was answered, not how things stand. A video that is deleted keeps the keys
that made it: whoever repeats the request that registered it, because the first answer was lost,
must not register it anew, and is told by ``Idempotency-Replayed`` that this is an old answer.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from pipeline.domain.errors import Conflict, Unprocessable
from pipeline.records.models import IdempotencyRecord
from pipeline.runtime.database import lock_timed_out

KEY_KEPT_SEC = 24 * 3600
"""How long a key replays its first answer, as Stripe keeps them at the least."""

# A row that has expired is taken over as if it were not there: the sweep need not have been by.
CLAIM = text("""
    INSERT INTO idempotency_keys (owner_id, route, key, request_sha256, expires_at)
    VALUES (:key_owner_id, :route, :key, :request_sha256,
            now() + make_interval(secs => :key_kept_sec))
    ON CONFLICT (owner_id, route, key) DO UPDATE
        SET request_sha256 = excluded.request_sha256, status_code = NULL, response = NULL,
            created_at = now(), expires_at = excluded.expires_at
        WHERE idempotency_keys.expires_at < now()
    RETURNING key
""")


@dataclass(frozen=True)
class IdempotencyKey:
    """The caller's key, and a digest of what it was sent with.

    Attributes:
        owner_id: The subject of whoever sent it: a key is its sender's alone.
        route: What was asked for: a key of one route says nothing about another.
    """

    owner_id: str
    route: str
    key: str
    request_sha256: str


@dataclass(frozen=True)
class Answer:
    """The status and body of an answer, as it is kept."""

    status_code: int
    body: Mapping[str, Any]


def claim(session: Session, key: IdempotencyKey | None) -> Answer | None:
    """Take a key for this transaction, or find what was answered when it was first used.

    A request with the same key that is running is waited for as long as the session waits for
    any lock.

    Returns:
        None when the effect is to be had now, and ``keep`` is to be called in the end.

    Raises:
        Conflict: ``idempotency_in_flight``.
        Unprocessable: ``idempotency_mismatch``.
    """
    if key is None:
        return None
    with in_flight_is_a_conflict():
        claimed = session.scalar(CLAIM, columns_of(key))
    return None if claimed is not None else first_answer(session, key)


def columns_of(key: IdempotencyKey | None) -> dict[str, Any]:
    """The parameters of a statement that claims a key; all null but one without a key."""
    return {
        "key_owner_id": key.owner_id if key else None,
        "route": key.route if key else None,
        "key": key.key if key else None,
        "request_sha256": key.request_sha256 if key else None,
        "key_kept_sec": KEY_KEPT_SEC,
    }


@contextmanager
def in_flight_is_a_conflict() -> Iterator[None]:
    """Around a statement that claims a key: a lock that is not granted is the key's other user.

    Raises:
        Conflict: ``idempotency_in_flight``.
    """
    try:
        yield
    except OperationalError as error:
        if not lock_timed_out(error):
            raise
        raise Conflict("idempotency_in_flight", "The first request is still running.") from error


def first_answer(session: Session, key: IdempotencyKey | None) -> Answer | None:
    """What was answered when this key was first used; None when it is ours to use.

    Raises:
        Unprocessable: ``idempotency_mismatch``: it was used with another request.
    """
    if key is None:
        return None
    record = session.get(IdempotencyRecord, (key.owner_id, key.route, key.key))
    if record is None or record.status_code is None:
        return None
    if record.request_sha256 != key.request_sha256:
        raise Unprocessable(
            "idempotency_mismatch", "This Idempotency-Key was used with another request."
        )
    return Answer(record.status_code, record.response or {})


def keep(session: Session, key: IdempotencyKey | None, answer: Answer) -> None:
    """Remember the answer to the request that claimed a key."""
    if key is None:
        return
    session.execute(
        update(IdempotencyRecord)
        .where(
            IdempotencyRecord.owner_id == key.owner_id,
            IdempotencyRecord.route == key.route,
            IdempotencyRecord.key == key.key,
        )
        .values(status_code=answer.status_code, response=dict(answer.body))
        .execution_options(synchronize_session=False)
    )
