"""Who is calling, by a person's token or a server's key, and what they may do."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar, cast
from uuid import UUID

import structlog
from flask import g, request
from sqlalchemy.orm import Session

from api.http.problems import RETRY_AFTER_SEC, Problem, invalid
from api.identity.jwks import KeysUnavailable
from api.identity.tokens import Role, RoleNotTrusted, TokenExpired, TokenInvalid
from api.wiring.services import Services, services
from pipeline.access.api_keys import PREFIX, Bearer, recognise_key
from pipeline.domain.scopes import OF_OWNERS, Scope, with_implied
from pipeline.runtime.database import session_of, user_session

__all__ = [
    "Caller",
    "Role",
    "Scope",
    "authorised",
    "caller",
    "caller_of",
    "caller_session",
    "guarded_scope",
    "identify",
    "owner_named",
]

OF_ROLES: Mapping[Role, frozenset[Scope]] = {
    Role.OWNER: with_implied(OF_OWNERS),
    Role.OPERATOR: with_implied(frozenset({Scope.OPERATOR})),
    Role.READER: with_implied(frozenset({Scope.OPERATOR_READ})),
}
"""What a person's token lets its bearer do."""

SCOPE = "khronika_scope"
"""The attribute of a guarded view that holds its scope."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Caller:
    """Who sent the request.

    Attributes:
        subject: The owner, or what an operator is called.
        posts: The posts that their token names.
    """

    subject: str
    role: Role
    scopes: frozenset[Scope]
    posts: frozenset[UUID] = frozenset()

    @property
    def actor(self) -> str:
        """How the chronicle names them."""
        kind = "owner" if self.role is Role.OWNER else "operator"
        return f"{kind}:{self.subject}"

    @property
    def claimed_posts(self) -> frozenset[UUID] | None:
        """The posts they may register videos for; None for operators, who need no claim."""
        return self.posts if self.role is Role.OWNER else None


def authorised(*roles: Role, scope: Scope | None = None) -> Callable[[View], View]:
    """Let only these roles through; the view finds the caller in ``caller()``.

    Stands above ``@input``: who may not ask is not told what is wrong with the question.

    Args:
        roles: Who may ask.
        scope: What a key must be for; ``scope_of`` the request's method when absent.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            g.caller = _let_in(roles, scope or scope_of(request.method))
            return view(*args, **kwargs)

        setattr(guarded, SCOPE, scope)
        return cast("View", guarded)

    return decorate


def guarded_scope(view: Callable[..., Any], method: str) -> Scope:
    """Return the scope that a key needs for this view by this method, as its guard has it."""
    return getattr(view, SCOPE, None) or scope_of(method)


def scope_of(method: str) -> Scope:
    """What a key must be for where a route does not say: reading, or changing."""
    return Scope.ASSETS_READ if method in SAFE_METHODS else Scope.ASSETS_WRITE


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


def owner_named(owner_id: str | None) -> str:
    """For whom the request is: its sender, or whom an operator names.

    Raises:
        Problem: 422 ``owner_not_yours``, ``owner_id_missing``.
    """
    who = caller()
    if who.role is Role.OWNER:
        if owner_id not in (None, who.subject):
            raise invalid("owner_id", "Only an operator acts for others.", code="owner_not_yours")
        return who.subject
    if owner_id is None:
        raise invalid("owner_id", "An operator names the owner.", code="owner_id_missing")
    return owner_id


def _let_in(roles: tuple[Role, ...], scope: Scope) -> Caller:
    who = identify(request.headers.get("Authorization"), services())
    if who.role not in roles:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "role_not_allowed",
            f"This needs the role {' or '.join(role.value for role in roles)}.",
        )
    if scope not in who.scopes:
        raise Problem(HTTPStatus.FORBIDDEN, "scope_missing", f"This needs the scope {scope}.")
    return who


def identify(authorization: str | None, here: Services) -> Caller:
    """Verify what an ``Authorization`` header carries.

    Raises:
        Problem: 401 ``token_missing``, ``token_expired`` or ``token_invalid``; 403
            ``role_not_trusted``; 503 ``issuer_unavailable``.
    """
    scheme, _, token = (authorization or "").strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise _unauthorised("token_missing", "Send a token: Authorization: Bearer ….")
    return _of_key(token, here) if token.startswith(PREFIX) else _of_token(token, here)


def _of_token(token: str, here: Services) -> Caller:
    try:
        identity = here.verifier.verify(token)
    except TokenExpired:
        raise _unauthorised("token_expired", "The token has expired; get a new one.") from None
    except TokenInvalid:
        raise _invalid() from None
    except RoleNotTrusted:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "role_not_trusted",
            "The issuer of this token is not one that makes operators.",
        ) from None
    except KeysUnavailable:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "issuer_unavailable",
            "The token's issuer does not publish its keys now; try again shortly.",
            headers={"Retry-After": str(RETRY_AFTER_SEC)},
        ) from None
    return Caller(identity.subject, identity.role, OF_ROLES[identity.role], identity.posts)


def _of_key(key: str, here: Services) -> Caller:
    with session_of(here.engines.api) as session:
        bearer = recognise_key(session, key)
    if bearer is None:
        raise _invalid()
    structlog.contextvars.bind_contextvars(key_id=str(bearer.key_id))
    return caller_of(bearer)


def caller_of(bearer: Bearer) -> Caller:
    """Who calls with a key."""
    scopes = with_implied(bearer.scopes)
    if bearer.owner_id is not None:
        return Caller(bearer.owner_id, Role.OWNER, scopes)
    role = Role.OPERATOR if Scope.OPERATOR in scopes else Role.READER
    return Caller(f"key:{bearer.key_id}", role, scopes)


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
