"""Idempotency keys: a repeated request with the same Idempotency-Key gets its first answer again.

The key's row is written in the transaction of the effect itself, so that both exist or neither. A
request that fails leaves no row and may be repeated with the same key.

A key stores the first answer, not the present state. A deleted video keeps its keys: a client that
repeats the request because it lost the first answer must not register the video again. The header
``Idempotency-Replayed`` marks the old answer.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from pipeline.domain.errors import Conflict, Unprocessable
from pipeline.domain.values import ADDRESS_FIELDS, Playback
from pipeline.records.models import IdempotencyRecord
from pipeline.runtime.database import lock_timed_out

KEY_KEPT_SEC = 24 * 3600
"""Time for which a key replays its first answer: the shortest that Stripe keeps its keys for."""

# An expired row is taken over like an absent one, whether or not a sweep has deleted it.
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
    """The caller's key, and a digest of its request.

    Attributes:
        owner_id: The subject of the caller. Another caller's equal key is another key.
        route: The route of the request. The same key at another route is another key.
    """

    owner_id: str
    route: str
    key: str
    request_sha256: str


@dataclass(frozen=True)
class Answer:
    """The status and body of a stored answer."""

    status_code: int
    body: Mapping[str, Any]


def claim(session: Session, key: IdempotencyKey | None) -> Answer | None:
    """Claim a key for this transaction, or return the answer of its first use.

    A running request with the same key is waited for as long as the session waits for any lock.

    Returns:
        None if the key is claimed: carry out the effect and call ``record_answer`` at the end.

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
    """Return the parameters of a statement that claims a key; the key's are null without a key."""
    return {
        "key_owner_id": key.owner_id if key else None,
        "route": key.route if key else None,
        "key": key.key if key else None,
        "request_sha256": key.request_sha256 if key else None,
        "key_kept_sec": KEY_KEPT_SEC,
    }


@contextmanager
def in_flight_is_a_conflict() -> Iterator[None]:
    """Translate the timeout of a lock on a key: another request with the key is running.

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
    """Return the answer of this key's first use; None if it is unused.

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


def _without_tokens(body: Mapping[str, Any]) -> dict[str, Any]:
    if body.get("playback") != Playback.SIGNED:
        return dict(body)
    return {**body, **dict.fromkeys((*ADDRESS_FIELDS, "urls_expire_at"))}


def record_answer(session: Session, key: IdempotencyKey | None, answer: Answer) -> None:
    """Store the answer to the request that claimed a key, without addresses that are authorities.

    A replay signs the addresses of a signed video anew, for as long as the video exists.
    """
    if key is None:
        return
    session.execute(
        update(IdempotencyRecord)
        .where(
            IdempotencyRecord.owner_id == key.owner_id,
            IdempotencyRecord.route == key.route,
            IdempotencyRecord.key == key.key,
        )
        .values(status_code=answer.status_code, response=_without_tokens(answer.body))
        .execution_options(synchronize_session=False)
    )
