"""Keys of servers: made once, checked at every request, revoked for good.

A key is ``khv_{id}_{secret}``. The prefix lets scanners find leaked keys. The id makes the look-up
one indexed row. The secret has 256 random bits, and only the SHA-256 of the whole key is stored. It
needs no salt and no slow hash, because a random secret cannot be guessed (the OWASP Password
Storage sheet is about passwords that people choose).
"""

import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from uuid import UUID, uuid4

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from pipeline.domain.audit_types import AuditType
from pipeline.domain.errors import NotFound, Unprocessable
from pipeline.domain.scopes import OF_OPERATORS, OF_OWNERS, Scope
from pipeline.records import store
from pipeline.records.clock import from_now
from pipeline.records.models import ApiKey

PREFIX = "khv_"
SECRET_BYTES = 32
SHAPE = re.compile(r"khv_(?P<id>[0-9a-f]{32})_[A-Za-z0-9_-]{43}")
NO_KEY_SHA256 = sha256(b"").hexdigest()
"""Stands for the digest of an unknown key, so that the comparison takes the same time."""

USE_RECORDED_SEC = 60
"""Age of ``last_used_at`` from which a use is recorded: at most one write a minute."""


@dataclass(frozen=True)
class NewKey:
    """Order for a new key.

    Attributes:
        name: Name for people.
        owner_id: The owner that the key acts as; None for an operator's key.
        scopes: Names of the key's scopes.
        life: Time for which the key is valid; None until it is revoked.
    """

    name: str
    owner_id: str | None
    scopes: Sequence[str]
    life: timedelta | None = None


@dataclass(frozen=True)
class MadeKey:
    """A new key, which is shown only now, and its row."""

    key: str
    row: ApiKey


@dataclass(frozen=True)
class Bearer:
    """Identity and rights of a valid key."""

    key_id: UUID
    owner_id: str | None
    scopes: frozenset[Scope]


def make_key(
    session: Session,
    wanted: NewKey,
    *,
    actor: str,
    source: str | None,
    request_id: str | None = None,
) -> MadeKey:
    """Make a key. It cannot be shown again.

    Args:
        session: The operator's.
        wanted: The order.
        actor: The operator, for the audit.
        source: The operator's address, for the audit.
        request_id: The id of the request or of the command, for the audit.

    Raises:
        Unprocessable: ``scope_unknown``; ``scopes_unsuitable``: an owner's key has scopes of
            owners, and a key without an owner has scopes of operators.
    """
    scopes = _scopes(wanted)
    key_id = uuid4()
    key = f"{PREFIX}{key_id.hex}_{secrets.token_urlsafe(SECRET_BYTES)}"
    row = ApiKey(
        id=key_id,
        name=wanted.name,
        secret_sha256=_digest(key),
        owner_id=wanted.owner_id,
        scopes=scopes,
        created_at=func.now(),
        expires_at=from_now(wanted.life.total_seconds()) if wanted.life else None,
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    detail = {"key_id": str(key_id), "name": wanted.name, "owner_id": wanted.owner_id}
    store.audit(
        session,
        AuditType.KEY_MADE,
        actor=actor,
        source=source,
        request_id=request_id,
        detail={**detail, "scopes": scopes},
    )
    return MadeKey(key, row)


def _scopes(wanted: NewKey) -> list[str]:
    unknown = sorted(set(wanted.scopes) - set(Scope))
    if unknown:
        known = ", ".join(Scope)
        raise Unprocessable(
            "scope_unknown", f"No such scope: {', '.join(unknown)}. The scopes are {known}."
        )
    suitable = OF_OPERATORS if wanted.owner_id is None else OF_OWNERS
    if not wanted.scopes or not suitable.issuperset(wanted.scopes):
        kind = "without an owner" if wanted.owner_id is None else "of an owner"
        listed = ", ".join(sorted(suitable))
        raise Unprocessable("scopes_unsuitable", f"A key {kind} needs scopes out of: {listed}.")
    return sorted(set(wanted.scopes))


def list_keys(session: Session) -> Sequence[ApiKey]:
    """Return every key, revoked and expired ones included, newest first."""
    return session.scalars(select(ApiKey).order_by(ApiKey.created_at.desc(), ApiKey.id)).all()


def revoke_key(
    session: Session,
    key_id: UUID,
    *,
    actor: str,
    source: str | None,
    request_id: str | None = None,
) -> ApiKey:
    """Revoke a key with the commit of this transaction. Idempotent.

    Raises:
        NotFound: ``key_not_found``.
    """
    revoked = session.scalars(
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(ApiKey)
    ).one_or_none()
    if revoked is not None:
        detail = {"key_id": str(key_id), "name": revoked.name, "owner_id": revoked.owner_id}
        store.audit(
            session,
            AuditType.KEY_REVOKED,
            actor=actor,
            source=source,
            request_id=request_id,
            detail=detail,
        )
        return revoked
    earlier = session.get(ApiKey, key_id)
    if earlier is None:
        raise NotFound("key_not_found", "No key has this id.")
    return earlier


def recognise_key(session: Session, key: str) -> Bearer | None:
    """Return the bearer of a key; None if it is malformed, unknown, revoked or expired.

    Every request costs one statement by primary key, so that a revoked key is refused at once. A
    second statement records the use, at most once a minute.
    """
    shape = SHAPE.fullmatch(key)
    if shape is None:
        return None
    in_time = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())
    use_began = from_now(-USE_RECORDED_SEC)
    stale_use = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < use_began)
    found = session.execute(
        select(
            ApiKey,
            (ApiKey.revoked_at.is_(None) & in_time).label("valid"),
            stale_use.label("stale_use"),
        ).where(ApiKey.id == UUID(shape["id"]))
    ).one_or_none()
    stored = found.ApiKey.secret_sha256 if found else NO_KEY_SHA256
    is_right = hmac.compare_digest(stored, _digest(key))
    if found is None or not is_right or not found.valid:
        return None
    if found.stale_use:
        _record_use(session, found.ApiKey.id)
    return _bearer(found.ApiKey)


def key_in_force(session: Session, key_id: UUID) -> Bearer | None:
    """Return the bearer of a key that was checked before; None once it is revoked or expired."""
    row = session.scalars(
        select(ApiKey).where(
            ApiKey.id == key_id,
            ApiKey.revoked_at.is_(None),
            or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now()),
        )
    ).one_or_none()
    return None if row is None else _bearer(row)


def _bearer(row: ApiKey) -> Bearer:
    return Bearer(row.id, row.owner_id, frozenset(map(Scope, row.scopes)))


def _record_use(session: Session, key_id: UUID) -> None:
    # Another holder of the row records a use of the same minute or revokes the key: skip, not wait.
    free = select(ApiKey.id).where(ApiKey.id == key_id).with_for_update(skip_locked=True)
    session.execute(
        update(ApiKey)
        .where(ApiKey.id.in_(free))
        .values(last_used_at=func.now())
        .execution_options(synchronize_session=False)
    )


def _digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()
