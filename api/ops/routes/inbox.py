"""The inbox of callbacks: lists of new, dead and applied deliveries, and single deliveries."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Response, request

from api.access.audit import audit_operator
from api.access.caller import Role, caller
from api.ops.pages import (
    console_blueprint,
    live_page,
    page,
    query_text,
    read_cursor,
    read_transaction,
    unknown_parameter,
    write_cursor,
)
from api.wiring.services import services
from pipeline.config.groups import secrets_in
from pipeline.domain.audit_types import AuditType
from pipeline.domain.values import DeliveryStatus
from pipeline.operations import console_inbox
from pipeline.runtime.ids import read_id
from pipeline.runtime.redaction import REDACTED, Redactor

blueprint = console_blueprint("ops_inbox", __name__)

PAGE = 50
BODY_SHOWN_BYTES = 8192
SECRET_WORDS = ("authorization", "cookie", "key", "secret", "signature", "token")
"""Words in the names of headers whose values are never shown."""


@blueprint.get("/inbox")
def show_list() -> Response:
    """Show deliveries of one status, or of one video."""
    wanted, before = _wanted(), read_cursor(query_text("before"))
    since = None if before is None else console_inbox.InboxCursor(before.updated_at, before.id)
    with read_transaction() as session:
        found = console_inbox.page(session, wanted, before=since, limit=PAGE + 1)
        counts = {
            status: console_inbox.count(session, status)
            for status in (DeliveryStatus.NEW, DeliveryStatus.DEAD)
        }
    shown = found[:PAGE]
    last = shown[-1] if len(found) > PAGE else None
    return live_page(
        "inbox.html",
        wanted=wanted,
        asset_id=wanted.asset_id if isinstance(wanted, console_inbox.AssetFilter) else None,
        counts=counts,
        counted=console_inbox.COUNTED,
        statuses=console_inbox.STATUSES,
        providers=sorted(services().providers),
        deliveries=shown,
        next_place=write_cursor((last.received_at, last.id)) if last else None,
    )


@blueprint.get("/inbox/<uuid:delivery_id>")
def show(delivery_id: UUID) -> Response:
    """Show one delivery; its body is shown to operators who may act only."""
    with read_transaction() as session:
        delivery = console_inbox.delivery(session, delivery_id)
        if caller().role is Role.OPERATOR:
            audit_operator(session, AuditType.DELIVERY_READ, delivery_id=delivery_id)
    redact = Redactor(secrets_in(services().settings))
    body = redact(delivery.body[:BODY_SHOWN_BYTES].decode(errors="replace"))
    return page(
        "delivery.html",
        delivery=delivery,
        headers=_headers(delivery.headers),
        body=body,
        size_bytes=len(delivery.body),
        shown_bytes=BODY_SHOWN_BYTES,
    )


def _wanted() -> console_inbox.StatusFilter | console_inbox.AssetFilter:
    asset = query_text("asset")
    if asset is not None:
        try:
            return console_inbox.AssetFilter(read_id(asset))
        except ValueError:
            raise unknown_parameter("asset") from None
    status = request.args.get("status", DeliveryStatus.DEAD)
    if status not in console_inbox.STATUSES:
        raise unknown_parameter("status")
    return console_inbox.StatusFilter(status, query_text("provider"))


def _headers(stored: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: REDACTED if _is_secret(name) else str(value) for name, value in sorted(stored.items())
    }


def _is_secret(name: str) -> bool:
    lower = name.lower()
    return any(word in lower for word in SECRET_WORDS)
