"""Tickets that authorise a stream: a browser's EventSource cannot send a token.

A ticket stands in a query, where logs of proxies may record it. It therefore expires soon, permits
reading only, and opens streams only. It is readable but not forgeable.
"""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import NamedTuple
from uuid import UUID

from itsdangerous import BadData

from api.http.problems import Problem
from api.identity.tokens import Role
from pipeline.runtime.signed_tokens import Keys, read_token, sign_token

_PURPOSE = "khronika.stream-ticket.v2"


class Viewer(NamedTuple):
    """The viewer of posts. All operators see the same documents, and so do all other viewers.

    Attributes:
        owner_id: The owner whose own videos are shown as complete assets; None for other viewers.
        is_operator: True if every video is shown as a complete asset.
        key_id: The API key of the ticket, which ends the stream with it; None if it had none.
    """

    owner_id: str | None = None
    is_operator: bool = False
    key_id: UUID | None = None


PUBLIC = Viewer()


def sign_ticket(
    key: str, subject: str, role: Role, *, expires_at: datetime, key_id: UUID | None = None
) -> str:
    """Return a ticket that opens streams until ``expires_at``, or the end of its API key."""
    key_hex = key_id.hex if key_id else None
    payload = [subject, role.value, int(expires_at.timestamp()), key_hex]
    return sign_token(key, payload, purpose=_PURPOSE)


def viewer_of_ticket(keys: Keys, ticket: str, *, now: datetime) -> tuple[Viewer, str]:
    """Return the viewer of a ticket, and the subject that asked for it.

    Raises:
        Problem: 401 ``ticket_invalid``, ``ticket_expired``.
    """
    try:
        subject, role, expires_at, key_hex = read_token(keys, ticket, purpose=_PURPOSE)
        ends_at = datetime.fromtimestamp(expires_at, UTC)
        key_id = UUID(key_hex) if key_hex else None
        is_operator = Role(role) is not Role.OWNER
        viewer = Viewer(None if is_operator else str(subject), is_operator, key_id)
    except (BadData, ValueError, TypeError):
        raise _refused("ticket_invalid", "This ticket is not valid; ask for a new one.") from None
    if now >= ends_at:
        raise _refused("ticket_expired", "This ticket has expired; ask for a new one.")
    return viewer, str(subject)


def refused_ticket() -> Problem:
    """Return the answer to a ticket whose API key was revoked."""
    return _refused("ticket_invalid", "This ticket is not valid; ask for a new one.")


def _refused(code: str, detail: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, code, detail)
