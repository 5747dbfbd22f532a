"""An operator's session in the browser: a signed cookie, and the token of its forms.

A session ends when it expires; with the token it was made of; when its key is revoked; or when the
operator signs out. Every request checks the last two in the database, so that a copy of the cookie
opens nothing after the end.
"""

import hmac
import secrets
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import UUID

import jwt
from flask import Response, g, request
from itsdangerous import BadData
from sqlalchemy.orm import Session

from api.access.caller import OF_ROLES, Caller, Role, caller_of
from api.http.path_prefix import here
from api.http.problems import Problem
from api.wiring.services import services
from pipeline.access.api_keys import PREFIX, key_in_force
from pipeline.access.ended_sessions import has_ended, remember_end
from pipeline.runtime.database import session_of
from pipeline.runtime.signed_tokens import Keys, read_token, sign_token

COOKIE = "khronika_ops"
PATH = "/ops"
LIFE_SEC = 8 * 3600
"""A working day."""

END_KEPT_SEC = 3600
"""Time for which an end is remembered longer than its cookie is valid."""
ROLES = frozenset({Role.OPERATOR, Role.READER})
_PURPOSE = "khronika.ops-session.v1"
_CSRF_BYTES = 16


@dataclass(frozen=True)
class ConsoleSession:
    """The content of the cookie.

    Attributes:
        csrf: The token that each form of this session sends.
        expires_at: Seconds since the epoch.
        subject: The operator; None before the sign-in.
        key_id: The key of the sign-in; None if it was a token.
    """

    csrf: str
    expires_at: int
    subject: str | None = None
    role: Role | None = None
    key_id: UUID | None = None


def anonymous_session() -> ConsoleSession:
    """Return a session without an operator, for the sign-in form."""
    return ConsoleSession(secrets.token_urlsafe(_CSRF_BYTES), int(time.time()) + LIFE_SEC)


def begin_session(who: Caller, token: str | None = None) -> ConsoleSession:
    """Return a session of an operator.

    Args:
        token: The verified token of the sign-in; the session ends no later than a JWT.

    Raises:
        Problem: 403 ``role_not_allowed``: the caller is no operator.
    """
    if who.role not in ROLES:
        raise Problem(
            HTTPStatus.FORBIDDEN, "role_not_allowed", "This token is an owner's, not an operator's."
        )
    expires_at = int(time.time()) + LIFE_SEC
    key_id = None
    if token is not None and token.startswith(PREFIX):
        key_id = UUID(who.subject.removeprefix("key:"))
    elif token is not None:
        expires_at = min(expires_at, _ends_at(token))
    csrf = secrets.token_urlsafe(_CSRF_BYTES)
    return ConsoleSession(csrf, expires_at, who.subject, who.role, key_id)


def _ends_at(verified: str) -> int:
    # The signature was verified before.
    return int(jwt.decode(verified, options={"verify_signature": False})["exp"])


def current_session() -> ConsoleSession | None:
    """Return the session of the request if it is valid and has not expired."""
    try:
        payload: Any = read_token(_keys(), request.cookies.get(COOKIE, ""), purpose=_PURPOSE)
    except BadData:
        return None
    match payload:
        case [str(csrf), int(expires_at), subject, role, key_id] if expires_at > time.time():
            return ConsoleSession(
                csrf,
                expires_at,
                subject,
                Role(role) if role else None,
                UUID(key_id) if key_id else None,
            )
        case _:
            return None


def caller_in(session: ConsoleSession | None) -> Caller | None:
    """Return the operator of a session; None if there is none, it was ended or its key revoked."""
    if session is None or session.subject is None or session.role is None:
        return None
    with session_of(services().engines.operator) as database:
        if has_ended(database, session.subject, session.csrf):
            return None
    if session.key_id is None:
        return Caller(session.subject, session.role, OF_ROLES[session.role])
    with session_of(services().engines.api) as database:
        bearer = key_in_force(database, session.key_id)
    return caller_of(bearer) if bearer is not None else None


def store_session(response: Response, session: ConsoleSession) -> None:
    """Set the cookie of a session: for our pages alone, and out of reach of scripts."""
    payload = [
        session.csrf,
        session.expires_at,
        session.subject,
        session.role,
        session.key_id.hex if session.key_id else None,
    ]
    response.set_cookie(
        COOKIE,
        sign_token(_key(), payload, purpose=_PURPOSE),
        max_age=max(session.expires_at - int(time.time()), 0),
        path=here(PATH),
        secure=_is_https(),
        httponly=True,
        samesite="Strict",
    )


def end_session(database: Session, session: ConsoleSession) -> None:
    """End a session for every copy of its cookie."""
    if session.subject is not None:
        left_sec = max(session.expires_at - time.time(), 0) + END_KEPT_SEC
        remember_end(database, session.subject, session.csrf, left_sec=left_sec)


def remove_cookie(response: Response) -> None:
    """Have the browser delete its cookie."""
    response.delete_cookie(
        COOKIE, path=here(PATH), secure=_is_https(), httponly=True, samesite="Strict"
    )


def require_csrf() -> None:
    """Refuse a form that was not sent from a page of this session.

    Raises:
        Problem: 403 ``form_expired``.
    """
    session: ConsoleSession | None = g.ops_session
    sent = request.form.get("csrf", "")
    if session is None or not hmac.compare_digest(sent.encode(), session.csrf.encode()):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "form_expired",
            "This form belongs to another session. Open the page again and repeat the action.",
        )


def _is_https() -> bool:
    settings = services().settings
    address = settings.internal.console_url(settings.media_urls.base_url)
    return request.is_secure or address.startswith("https:")


def _keys() -> Keys:
    return services().settings.media_urls.accepted_keys


def _key() -> str:
    return services().settings.media_urls.key
