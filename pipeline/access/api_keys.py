"""Keys of servers: made once, recognised at every request, revoked for good.

A key is ``khv_{id}_{secret}``. The prefix is for scanners that look for leaked secrets; the id
makes the look-up one indexed row; of the 256 random bits of the secret nothing is kept but the
SHA-256 of the whole key. No salt and no slow hash: there is nothing to guess (OWASP, Password
Storage, is about what people choose).
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

from pipeline.domain.errors import NotFound, Unprocessable
from pipeline.domain.scopes import OF_OPERATORS, OF_OWNERS, Scope
from pipeline.records import store
from pipeline.records.clock import from_now
from pipeline.records.models import ApiKey

PREFIX = "khv_"
SECRET_BYTES = 32
SHAPE = re.compile(r"khv_(?P<id>[0-9a-f]{32})_[A-Za-z0-9_-]{43}")
NOBODYS = sha256(b"").hexdigest()
"""Compared with where there is no such key, so that looking for one takes as long."""

USE_NOTED_SEC = 60
"""How old ``last_used_at`` may be before a use is written down: one write a minute at most."""


@dataclass(frozen=True)
class NewKey:
    """A key that is to be made.

    Attributes:
        name: What people call it.
        owner_id: Whom it acts as; None for an operator's.
        scopes: What it may do, by name.
        life: How long it is valid; None for as long as nobody revokes it.
    """

    name: str
    owner_id: str | None
    scopes: Sequence[str]
    life: timedelta | None = None


@dataclass(frozen=True)
class MadeKey:
    """A key as it is shown, once, and its row."""

    key: str
    row: ApiKey


@dataclass(frozen=True)
class Bearer:
    """Whom a key speaks for."""

    key_id: UUID
    owner_id: str | None
    scopes: frozenset[Scope]


def make_key(session: Session, wanted: NewKey, *, actor: str, source: str | None) -> MadeKey:
    """Make a key. It cannot be shown again.

    Args:
        session: Of the operator.
        wanted: What it is to be.
        actor: Who makes it, for the audit.
        source: Where they are, for the audit.

    Raises:
        Unprocessable: ``scope_unknown``, ``scopes_unsuitable``: an owner's key has owners' scopes,
            one without an owner has operators'.
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
        session, "key_made", actor=actor, source=source, detail={**detail, "scopes": scopes}
    )
    return MadeKey(key, row)


def _scopes(wanted: NewKey) -> list[str]:
    unknown = sorted(set(wanted.scopes) - set(Scope))
    if unknown:
        known = ", ".join(Scope)
        raise Unprocessable(
            "scope_unknown", f"There is no scope {', '.join(unknown)}; there are {known}."
        )
    suitable = OF_OPERATORS if wanted.owner_id is None else OF_OWNERS
    if not wanted.scopes or not suitable.issuperset(wanted.scopes):
        whose = "without an owner" if wanted.owner_id is None else "of an owner"
        listed = ", ".join(sorted(suitable))
        raise Unprocessable("scopes_unsuitable", f"A key {whose} has scopes out of: {listed}.")
    return sorted(set(wanted.scopes))


def list_keys(session: Session) -> Sequence[ApiKey]:
    """Every key there was, newest first."""
    return session.scalars(select(ApiKey).order_by(ApiKey.created_at.desc(), ApiKey.id)).all()


def revoke_key(session: Session, key_id: UUID, *, actor: str, source: str | None) -> ApiKey:
    """Let a key open nothing any more, from the commit on. Idempotent.

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
        store.audit(session, "key_revoked", actor=actor, source=source, detail=detail)
        return revoked
    earlier = session.get(ApiKey, key_id)
    if earlier is None:
        raise NotFound("key_not_found", "There is no key with this id.")
    return earlier


def recognise_key(session: Session, key: str) -> Bearer | None:
    """Whom a key speaks for; None for one that is malformed, unknown, revoked or expired.

    One statement, by primary key, so that a revoked key is refused at once. A second one, at most
    once a minute, notes the use.
    """
    shape = SHAPE.fullmatch(key)
    if shape is None:
        return None
    in_time = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())
    stale_use = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < from_now(-USE_NOTED_SEC))
    found = session.execute(
        select(
            ApiKey,
            (ApiKey.revoked_at.is_(None) & in_time).label("valid"),
            stale_use.label("stale_use"),
        ).where(ApiKey.id == UUID(shape["id"]))
    ).one_or_none()
    is_right = hmac.compare_digest(found.ApiKey.secret_sha256 if found else NOBODYS, _digest(key))
    if found is None or not is_right or not found.valid:
        return None
    if found.stale_use:
        _note_use(session, found.ApiKey.id)
    return _bearer(found.ApiKey)


def key_in_force(session: Session, key_id: UUID) -> Bearer | None:
    """Whom a key speaks for that was recognised before; None once it is revoked or has expired."""
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


def _note_use(session: Session, key_id: UUID) -> None:
    # Whoever holds the row now notes a use of the same minute, or revokes it: never wait.
    free = select(ApiKey.id).where(ApiKey.id == key_id).with_for_update(skip_locked=True)
    session.execute(
        update(ApiKey)
        .where(ApiKey.id.in_(free))
        .values(last_used_at=func.now())
        .execution_options(synchronize_session=False)
    )


def _digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()
