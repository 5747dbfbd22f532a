"""A link that signs an operator in to the console, once and within a minute.

Whoever can make one holds ``KHRONIKA_SECRET_KEY`` and could sign anything else, too.
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
from pipeline.runtime.signed_tokens import read_token, sign_token

LIFE_SEC = 60
ROUTE = "ops_link"
_PURPOSE = "khronika.operator-link.v1"
_USE_KEPT_SEC = 3600
"""Far longer than the link itself lives."""


class LinkInvalid(Exception):
    """The link is not ours, is over, or was used."""


@dataclass(frozen=True)
class OperatorLink:
    """What a link says.

    Attributes:
        subject: Who made it; they act under this name.
        reads_only: Whether they may change nothing.
    """

    id: UUID
    subject: str
    reads_only: bool


def sign_link(key: str, subject: str, *, reads_only: bool, now: datetime) -> str:
    """Make the token of a link, of characters that stand in a URL as they are."""
    ends_at = int((now + timedelta(seconds=LIFE_SEC)).timestamp())
    return sign_token(key, [uuid4().hex, subject, reads_only, ends_at], purpose=_PURPOSE)


def read_link(key: str, token: str, *, now: datetime) -> OperatorLink:
    """What the token says. Does not use it up: showing a page is no use.

    Raises:
        LinkInvalid: it is not ours, or over.
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
    """Use it up: of any number of uses at once one succeeds.

    Raises:
        LinkInvalid: it was used.
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
