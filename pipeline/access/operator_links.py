"""Links that sign an operator in to the console, once and within a minute.

Making a link needs ``KHRONIKA_SECRET_KEY``, which could sign any other token too.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from itsdangerous import BadData
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from pipeline.records.clock import from_now
from pipeline.records.models import IdempotencyRecord
from pipeline.runtime.signed_tokens import Keys, read_token, sign_token

LIFE_SEC = 60
ROUTE = "ops_link"
_PURPOSE = "khronika.operator-link.v1"
_USE_KEPT_SEC = 3600
"""Time for which a used link is remembered, far longer than its life."""


class LinkInvalid(Exception):
    """The link is not ours, has expired, or was used."""


@dataclass(frozen=True)
class OperatorLink:
    """Content of a link.

    Attributes:
        subject: The operator that made it and acts under this name.
        reads_only: True if the operator may not change anything.
    """

    id: UUID
    subject: str
    reads_only: bool


def sign_link(key: str, subject: str, *, reads_only: bool, now: datetime) -> str:
    """Make the token of a link, of characters that a URL allows unescaped."""
    ends_at = int((now + timedelta(seconds=LIFE_SEC)).timestamp())
    return sign_token(key, [uuid4().hex, subject, reads_only, ends_at], purpose=_PURPOSE)


def read_link(key: Keys, token: str, *, now: datetime) -> OperatorLink:
    """Return the content of the token. Reading does not use the link: a page may show it.

    Raises:
        LinkInvalid: the link is not ours, or has expired.
    """
    try:
        payload: Any = read_token(key, token, purpose=_PURPOSE)
    except BadData as error:
        raise LinkInvalid from error
    match payload:
        case [str(link_id), str(subject), bool(reads_only), int(ends_at)]:
            if now >= datetime.fromtimestamp(ends_at, UTC):
                raise LinkInvalid
            return OperatorLink(UUID(link_id), subject, reads_only)
        case _:
            raise LinkInvalid


def use_link(session: Session, link: OperatorLink) -> None:
    """Use the link. Of any number of concurrent uses exactly one succeeds.

    Raises:
        LinkInvalid: the link was used.
    """
    used = session.scalar(
        insert(IdempotencyRecord)
        .values(
            owner_id=link.subject,
            route=ROUTE,
            key=link.id.hex,
            request_sha256="",
            created_at=func.now(),
            expires_at=from_now(_USE_KEPT_SEC),
        )
        .on_conflict_do_nothing()
        .returning(IdempotencyRecord.key)
    )
    if used is None:
        raise LinkInvalid
