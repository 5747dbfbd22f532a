"""The receipt of a provider's callback: verified, stored, then acknowledged.

``reconcile`` applies it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from uuid import uuid4

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from pipeline.config.task_names import wake_reconcile
from pipeline.domain.audit_types import AuditType
from pipeline.domain.errors import SignatureInvalid
from pipeline.domain.values import CallbackEnvelope, DeliveryStatus
from pipeline.net.signatures import SignatureRejected
from pipeline.providers.base import CallbackUnreadable, Provider
from pipeline.records.audit_floods import has_room_for
from pipeline.records.models import Delivery
from pipeline.runtime.wakes import Wake

KEPT_HEADERS = frozenset(
    {
        "content-length",
        "content-type",
        "user-agent",
        "webhook-id",
        "webhook-timestamp",
        "x-amz-sns-message-id",
        "x-amz-sns-message-type",
        "x-amz-sns-topic-arn",
        "x-api-video-webhookid",
        "x-request-id",
    }
)
"""Headers that are stored with a callback. No other one is: a vendor may send a secret in any."""


@dataclass(frozen=True)
class Received:
    """The result of a verified callback: ``stored``, ``duplicate``, ``conflict`` or ``dead``."""

    kind: str
    wake: Wake | None = None


def receive_callback(
    session: Session,
    provider: Provider,
    *,
    secrets: Sequence[str],
    envelope: CallbackEnvelope,
    source: str,
    request_id: str,
    now: datetime,
) -> Received:
    """Store a verified callback, once.

    A unique constraint on provider and event id stops replays, whatever happens to the broker.

    Args:
        secrets: The account's active secrets.
        source: The sender's address. It must lie in the account's networks, and is audited.
        request_id: The id of our request, for the audit.

    Raises:
        SignatureInvalid: With the reason. ``record_rejection`` records it in a transaction of its
            own, since this one ends with the error.
    """
    if not _comes_from(source, provider.trust.callback_sources):
        raise SignatureInvalid("signature_invalid", reason="source_refused")
    try:
        signed = provider.verify_callback(envelope, secrets, now)
    except SignatureRejected as error:
        raise SignatureInvalid("signature_invalid", reason=error.reason) from error
    digest = sha256(envelope.body).hexdigest()
    dead = _is_unreadable(provider, envelope)
    row = {
        "id": uuid4(),
        "provider": provider.name,
        "event_id": signed.event_id,
        "headers": {k: v for k, v in envelope.headers.items() if k in KEPT_HEADERS},
        "body": envelope.body,
        "query": envelope.query,
        "body_sha256": digest,
        "digest": signed.digest or digest,
        "status": DeliveryStatus.DEAD if dead else DeliveryStatus.NEW,
        "reason": "unreadable" if dead else None,
        "next_try_at": None if dead else func.now(),
    }
    stored = session.scalar(
        insert(Delivery).values(row).on_conflict_do_nothing().returning(Delivery.id)
    )
    if stored is None:
        if _first_digest(session, provider.name, signed.event_id) == row["digest"]:
            return Received("duplicate")
        _audit(
            session,
            type_=AuditType.CALLBACK_CONFLICT,
            reason="other_body",
            provider=provider.name,
            source=source,
            request_id=request_id,
        )
        return Received("conflict")
    return Received("dead") if dead else Received("stored", wake_reconcile(stored))


def _comes_from(source: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    if not networks:
        return True
    try:
        address = ip_address(source)
    except ValueError:  # a socket without an address
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return any((mapped or address) in network for network in networks)


def _is_unreadable(provider: Provider, envelope: CallbackEnvelope) -> bool:
    try:
        provider.read_callback(envelope)
    except CallbackUnreadable:
        return True
    return False


def _first_digest(session: Session, provider: str, event_id: str) -> str | None:
    return session.scalar(
        select(Delivery.digest).where(Delivery.provider == provider, Delivery.event_id == event_id)
    )


def record_rejection(
    session: Session, *, reason: str, provider: str, source: str, request_id: str
) -> None:
    """Record the reason that a callback was rejected, and never its content."""
    _audit(
        session,
        type_=AuditType.CALLBACK_REJECTED,
        reason=reason,
        provider=provider,
        source=source,
        request_id=request_id,
    )


def _audit(
    session: Session, *, type_: AuditType, reason: str, provider: str, source: str, request_id: str
) -> None:
    if not has_room_for(session, source):
        return
    session.execute(
        text("""
            INSERT INTO audit_events (type, reason, actor, provider, source, request_id)
            VALUES (:type, :reason, 'provider:' || :provider, :provider, :source, :request_id)
        """),
        {
            "type": type_,
            "reason": reason,
            "provider": provider,
            "source": source,
            "request_id": request_id,
        },
    )
