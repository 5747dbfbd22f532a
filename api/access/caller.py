"""The caller of a request, by a person's token or a server's key, and the caller's rights."""

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

from api.access.refused_sign_ins import audit_refused_sign_in
from api.access.work_at_once import take_for_owner
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
    "key_of_caller",
    "owner_of_request",
]

OF_ROLES: Mapping[Role, frozenset[Scope]] = {
    Role.OWNER: with_implied(OF_OWNERS),
    Role.OPERATOR: with_implied(frozenset({Scope.OPERATOR})),
    Role.READER: with_implied(frozenset({Scope.OPERATOR_READ})),
}
"""The scopes of a person's token, by its role."""

SCOPE = "khronika_scope"
"""The attribute of a guarded view that holds its scope."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Caller:
    """The sender of a request.

    Attributes:
        subject: The owner's id, or the name of an operator.
        posts: The posts that the token names.
        key_id: The API key of the request; None for a token. Everything that is signed for this
            caller ends with the key.
    """

    subject: str
    role: Role
    scopes: frozenset[Scope]
    posts: frozenset[UUID] = frozenset()
    key_id: UUID | None = None

    @property
    def actor(self) -> str:
        """The caller's name in the chronicle."""
        kind = "owner" if self.role is Role.OWNER else "operator"
        return f"{kind}:{self.subject}"

    @property
    def claimed_posts(self) -> frozenset[UUID] | None:
        """The posts that the caller may register videos for; None for operators (any post)."""
        return self.posts if self.role is Role.OWNER else None


def authorised(*roles: Role, scope: Scope | None = None) -> Callable[[View], View]:
    """Let only these roles call a view; the view finds the caller in ``caller()``.

    It stands above ``@input``, so that a caller without the right learns nothing about the
    validation of the request.

    Args:
        roles: The roles that may call.
        scope: The scope that a key needs; ``scope_of`` the request's method if absent.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            g.caller = _require_access(roles, scope or scope_of(request.method))
            if g.caller.role is Role.OWNER:
                take_for_owner(g.caller.subject)
            return view(*args, **kwargs)

        setattr(guarded, SCOPE, scope)
        return cast("View", guarded)

    return decorate


def guarded_scope(view: Callable[..., Any], method: str) -> Scope:
    """Return the scope that a key needs for this view by this method, as its guard has it."""
    return getattr(view, SCOPE, None) or scope_of(method)


def scope_of(method: str) -> Scope:
    """Return the default scope that a key needs: to read or to write assets."""
    return Scope.ASSETS_READ if method in SAFE_METHODS else Scope.ASSETS_WRITE


def caller() -> Caller:
    """Return the sender of the request; only within a view that is ``@authorised``."""
    return cast("Caller", g.caller)


def key_of_caller() -> UUID | None:
    """Return the API key of the request; None for a token, and for a request without either."""
    who: Caller | None = g.get("caller")
    return who.key_id if who is not None else None


@contextmanager
def caller_session() -> Iterator[Session]:
    """Open a transaction with the caller's rights in the database; it commits at the end."""
    who, engines = caller(), services().engines
    if who.role is Role.OWNER:
        with user_session(engines.api, who.subject) as session:
            yield session
    else:
        with session_of(engines.operator) as session:
            yield session


def owner_of_request(owner_id: str | None) -> str:
    """Return the owner that the request is for: its sender, or the owner that an operator names.

    Raises:
        Problem: 422 ``owner_not_yours``, ``owner_id_missing``.
    """
    who = caller()
    if who.role is Role.OWNER:
        if owner_id not in (None, who.subject):
            detail = "Only an operator may name another owner."
            raise invalid("owner_id", detail, code="owner_not_yours")
        return who.subject
    if owner_id is None:
        raise invalid("owner_id", "An operator must name the owner.", code="owner_id_missing")
    return owner_id


def _require_access(roles: tuple[Role, ...], scope: Scope) -> Caller:
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
    """Return the caller of an ``Authorization`` header, after verifying it.

    Raises:
        Problem: 401 ``token_missing``, ``token_expired`` or ``token_invalid``; 403
            ``role_not_trusted``; 503 ``issuer_unavailable``.
    """
    scheme, _, token = (authorization or "").strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise _unauthorised("token_missing", "Send a token: Authorization: Bearer ….")
    is_key = token.startswith(PREFIX)
    return _caller_of_key(token, here) if is_key else _caller_of_token(token, here)


def _caller_of_token(token: str, here: Services) -> Caller:
    try:
        identity = here.verifier.verify(token)
    except TokenExpired:
        raise _unauthorised("token_expired", "The token has expired; get a new one.") from None
    except TokenInvalid:
        raise _invalid() from None
    except RoleNotTrusted:
        audit_refused_sign_in("role_not_trusted")
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "role_not_trusted",
            "The issuer of this token may not grant operators' roles.",
        ) from None
    except KeysUnavailable:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "issuer_unavailable",
            "The token's issuer does not publish its keys now; try again shortly.",
            headers={"Retry-After": str(RETRY_AFTER_SEC)},
        ) from None
    return Caller(identity.subject, identity.role, OF_ROLES[identity.role], identity.posts)


def _caller_of_key(key: str, here: Services) -> Caller:
    with session_of(here.engines.api) as session:
        bearer = recognise_key(session, key)
    if bearer is None:
        raise _invalid()
    structlog.contextvars.bind_contextvars(key_id=str(bearer.key_id))
    return caller_of(bearer)


def caller_of(bearer: Bearer) -> Caller:
    """Return the caller of a recognised key."""
    scopes = with_implied(bearer.scopes)
    if bearer.owner_id is not None:
        return Caller(bearer.owner_id, Role.OWNER, scopes, key_id=bearer.key_id)
    role = Role.OPERATOR if Scope.OPERATOR in scopes else Role.READER
    return Caller(f"key:{bearer.key_id}", role, scopes, key_id=bearer.key_id)


def _invalid() -> Problem:
    return _unauthorised("token_invalid", "The token is not one this API accepts.")


def _unauthorised(code: str, detail: str) -> Problem:
    # RFC 6750, 3: the answer to a request without a token has no error, only the scheme.
    error = "" if code == "token_missing" else ', error="invalid_token"'
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        code,
        detail,
        headers={"WWW-Authenticate": f'Bearer realm="khronika"{error}'},
    )
