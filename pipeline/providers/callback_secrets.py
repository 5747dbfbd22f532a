"""Secrets that verify an account's callbacks: the first ones, rotation and retirement.

At most two secrets of an account are active: the newest and the one that it replaces. A trigger
enforces this for every writer. The functions run as the operator, and each action leaves a row in
the audit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, func, insert, or_, select, text, update
from sqlalchemy.orm import Session

from pipeline.domain.audit_types import AuditType
from pipeline.domain.errors import Conflict
from pipeline.net.signatures import MAX_ACTIVE_SECRETS
from pipeline.providers.secret_sealing import Vault
from pipeline.records import store
from pipeline.records.clock import from_now
from pipeline.records.models import ProviderSecret


@dataclass(frozen=True)
class Rotated:
    """A rotation: the new secret, which is shown only now, and the end of the previous one.

    Attributes:
        previous_retires_at: Instant from which the previous secret verifies no callback; None if
            there was none.
    """

    id: UUID
    secret: str
    previous_retires_at: datetime | None


def active(provider: str) -> ColumnElement[bool]:
    """Return the condition of a row that verifies callbacks of this account now."""
    unretired = or_(
        ProviderSecret.retires_at.is_(None), ProviderSecret.retires_at > func.clock_timestamp()
    )
    return (ProviderSecret.provider == provider) & unretired


def list_secrets(session: Session, provider: str | None = None) -> Sequence[ProviderSecret]:
    """Return every secret, retired ones too, sealed and newest first; of one account or all."""
    query = select(ProviderSecret).order_by(
        ProviderSecret.provider, ProviderSecret.retires_at.desc().nulls_first()
    )
    if provider is not None:
        query = query.where(ProviderSecret.provider == provider)
    return session.scalars(query).all()


def seed_secrets(
    session: Session, vault: Vault, provider: str, secrets: Sequence[str], *, overlap_sec: float
) -> bool:
    """Store an account's first secrets from the settings; return true if they were stored.

    Idempotent: if the account has any row, even a retired one, nothing is stored.

    Args:
        secrets: The current secret first.
        overlap_sec: Time for which the secret that it replaces, if any, stays active.
    """
    _lock(session, provider)
    known = select(ProviderSecret.id).where(ProviderSecret.provider == provider).limit(1)
    if not secrets or session.scalar(known) is not None:
        return False
    for number, secret in enumerate(secrets):
        _insert(session, vault, provider, secret, retires_in_sec=overlap_sec if number else None)
    return True


def rotate_secret(
    session: Session,
    vault: Vault,
    provider: str,
    *,
    overlap_sec: float,
    actor: str,
    secret: str,
    **origin: str,
) -> Rotated:
    """Replace the newest secret, which stays active for the overlap.

    Args:
        secret: The new secret, checked by the adapter's format.
        origin: ``source`` and ``request_id``, for the audit.

    Raises:
        Conflict: ``rotation_in_progress``: the overlap of the last rotation is not over.
    """
    _lock(session, provider)
    now_active = session.scalars(select(ProviderSecret).where(active(provider))).all()
    if len(now_active) >= MAX_ACTIVE_SECRETS:
        ending = min(row.retires_at for row in now_active if row.retires_at is not None)
        raise Conflict(
            "rotation_in_progress",
            f"The previous secret is still active until {ending:%Y-%m-%d %H:%M} UTC.",
        )
    retires_at = session.scalar(
        update(ProviderSecret)
        .where(ProviderSecret.provider == provider, ProviderSecret.retires_at.is_(None))
        .values(retires_at=from_now(overlap_sec))
        .returning(ProviderSecret.retires_at)
    )
    secret_id = _insert(session, vault, provider, secret, retires_in_sec=None)
    store.audit(
        session,
        AuditType.SECRET_ROTATED,
        actor=actor,
        provider=provider,
        detail={"secret_id": str(secret_id)},
        **origin,
    )
    return Rotated(secret_id, secret, retires_at)


def retire_secret(session: Session, provider: str, *, actor: str, **origin: str) -> UUID:
    """End the overlap now: only the newest secret verifies callbacks from now on.

    Args:
        origin: ``source`` and ``request_id``, for the audit.

    Raises:
        Conflict: ``nothing_to_retire``: no other secret is active.
    """
    _lock(session, provider)
    retired: UUID | None = session.scalar(
        update(ProviderSecret)
        .where(active(provider), ProviderSecret.retires_at.is_not(None))
        .values(retires_at=func.clock_timestamp())
        .returning(ProviderSecret.id)
    )
    if retired is None:
        raise Conflict("nothing_to_retire", "Only the newest secret is active, and it stays.")
    store.audit(
        session,
        AuditType.SECRET_RETIRED,
        actor=actor,
        provider=provider,
        detail={"secret_id": str(retired)},
        **origin,
    )
    return retired


def _lock(session: Session, provider: str) -> None:
    """Lock an account's secrets against other writers; the trigger takes the same lock."""
    session.execute(
        text("SELECT pg_advisory_xact_lock(hashtext('khronika secrets'), hashtext(:provider))"),
        {"provider": provider},
    )


def _insert(
    session: Session, vault: Vault, provider: str, secret: str, *, retires_in_sec: float | None
) -> UUID:
    secret_id = uuid4()
    retires_at = None if retires_in_sec is None else from_now(retires_in_sec)
    session.execute(
        insert(ProviderSecret).values(
            id=secret_id,
            provider=provider,
            secret=vault.seal(secret, account=provider),
            created_at=func.clock_timestamp(),
            retires_at=retires_at,
        )
    )
    return secret_id
