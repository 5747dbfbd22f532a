"""Tickets that authorise a stream: a browser's EventSource cannot send a token.

A ticket stands in a query, where logs of proxies may record it. It therefore expires soon, permits
reading only, and opens streams only. It is readable but not forgeable.
"""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import NamedTuple

from itsdangerous import BadData

from api.http.problems import Problem
from api.identity.tokens import Role
from pipeline.runtime.signed_tokens import read_token, sign_token

_PURPOSE = "khronika.stream-ticket.v1"


class Viewer(NamedTuple):
    """The viewer of posts. All operators see the same documents, and so do all other viewers.

    Attributes:
        owner_id: The owner whose own videos are shown as complete assets; None for other viewers.
        is_operator: True if every video is shown as a complete asset.
    """

    owner_id: str | None = None
    is_operator: bool = False


PUBLIC = Viewer()
OPERATORS = Viewer(is_operator=True)


def sign_ticket(key: str, subject: str, role: Role, *, expires_at: datetime) -> str:
    """Return a ticket that opens streams until ``expires_at``."""
    payload = [subject, role.value, int(expires_at.timestamp())]
    return sign_token(key, payload, purpose=_PURPOSE)


def viewer_of_ticket(key: str, ticket: str, *, now: datetime) -> Viewer:
    """Return the viewer of a ticket.

    Raises:
        Problem: 401 ``ticket_invalid``, ``ticket_expired``.
    """
    try:
        subject, role, expires_at = read_token(key, ticket, purpose=_PURPOSE)
        ends_at = datetime.fromtimestamp(expires_at, UTC)
        viewer = OPERATORS if Role(role) is not Role.OWNER else Viewer(owner_id=str(subject))
    except (BadData, ValueError, TypeError):
        raise _refused("ticket_invalid", "This ticket is not valid; ask for a new one.") from None
    if now >= ends_at:
        raise _refused("ticket_expired", "This ticket has expired; ask for a new one.")
    return viewer


def _refused(code: str, detail: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, code, detail)
