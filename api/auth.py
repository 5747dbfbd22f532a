"""Who is calling: bearer tokens (JWT, HS256) and what their role may do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar, cast

import jwt
from flask import g, request
from sqlalchemy.orm import Session

from api.problems import Problem
from api.schemas import UNSTORABLE
from api.services import services
from pipeline.database import session_of, user_session
from pipeline.settings import Settings

ALGORITHM = "HS256"
"""Fixed here: a token's own header never chooses how it is verified (RFC 8725, 3.1)."""

LEEWAY_SEC = 30
"""Clocks of issuer and API may differ by this much."""

MAX_SUBJECT_CHARS = 128
"""As long as ``owner_id`` may be."""

View = TypeVar("View", bound=Callable[..., Any])


class Role(StrEnum):
    """What a token lets its bearer be."""

    OWNER = "owner"
    """Any token without one of the roles below: sees and changes its subject's own assets."""
    OPERATOR = "service_role"
    """Sees everything, retries anything."""
    READER = "operator_read"
    """Sees everything, changes nothing."""


@dataclass(frozen=True)
class Caller:
    """Who sent the request."""

    subject: str
    role: Role

    @property
    def actor(self) -> str:
        """How the chronicle names them."""
        kind = "owner" if self.role is Role.OWNER else "operator"
        return f"{kind}:{self.subject}"


def authorised(*roles: Role) -> Callable[[View], View]:
    """Let only these roles through; the view finds the caller in ``caller()``.

    Stands above ``@input``: who may not ask is not told what is wrong with the question.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            g.caller = _let_in(roles)
            return view(*args, **kwargs)

        return cast("View", guarded)

    return decorate


def caller() -> Caller:
    """Who sent the request; only within a view that is ``@authorised``."""
    return cast("Caller", g.caller)


@contextmanager
def caller_session() -> Iterator[Session]:
    """A transaction that sees what the caller may see; commits at the end."""
    who, engines = caller(), services().engines
    if who.role is Role.OWNER:
        with user_session(engines.api, who.subject) as session:
            yield session
    else:
        with session_of(engines.operator) as session:
            yield session


def _let_in(roles: tuple[Role, ...]) -> Caller:
    who = identify(request.headers.get("Authorization"), services().settings)
    if who.role not in roles:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "role_not_allowed",
            f"This needs the role {' or '.join(role.value for role in roles)}.",
        )
    return who


def identify(authorization: str | None, settings: Settings) -> Caller:
    """Verify the token of an ``Authorization`` header.

    Raises:
        Problem: 401 ``token_missing``, ``token_expired`` or ``token_invalid``.
    """
    scheme, _, token = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _unauthorised("token_missing", "Send a token: Authorization: Bearer ….")
    return _caller_of(_claims(token.strip(), settings))


def _claims(token: str, settings: Settings) -> dict[str, Any]:
    try:
        return jwt.decode(
            token,
            settings.jwt_secret.get_secret_value(),
            algorithms=[ALGORITHM],
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            leeway=LEEWAY_SEC,
            options={"require": ["exp", "iss", "aud"]},
        )
    except jwt.ExpiredSignatureError:
        raise _unauthorised("token_expired", "The token has expired; get a new one.") from None
    except jwt.PyJWTError:
        # Why exactly is for nobody but the issuer's developer; a forger would like to know too.
        raise _invalid() from None


def _caller_of(claims: dict[str, Any]) -> Caller:
    named = claims.get("role")
    role = Role(named) if named in (Role.OPERATOR, Role.READER) else Role.OWNER
    # Supabase's service tokens have no subject; an owner without one would own nothing.
    subject = claims.get("sub") or ("" if role is Role.OWNER else role.value)
    if not isinstance(subject, str) or not _is_storable(subject):
        raise _invalid()
    return Caller(subject, role)


def _is_storable(subject: str) -> bool:
    return 0 < len(subject) <= MAX_SUBJECT_CHARS and not UNSTORABLE.search(subject)


def _invalid() -> Problem:
    return _unauthorised("token_invalid", "The token is not one this API accepts.")


def _unauthorised(code: str, detail: str) -> Problem:
    # RFC 6750, 3: a request without a token is told no error, only how to authenticate.
    error = "" if code == "token_missing" else ', error="invalid_token"'
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        code,
        detail,
        headers={"WWW-Authenticate": f'Bearer realm="khronika"{error}'},
    )
