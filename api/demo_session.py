"""Who a visitor of the demonstration site is, and whether there is such a site here at all.

For development: whoever opens the site may be either user. So it is on this machine alone.
"""

import ipaddress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from urllib.parse import urlsplit

import jwt
from flask import Response, request

from api.demo_posts import USERS
from api.http.problems import Problem
from api.wiring.services import services

COOKIE = "khronika_demo_user"
TOKEN_LIVES = timedelta(minutes=15)


def visitor() -> str:
    """The owner that this visitor is to the API."""
    named = request.cookies.get(COOKIE, "")
    return named if named in USERS else next(iter(USERS))


def only_here() -> Response | None:
    """Refuse whoever is not on this machine; send who is to the address that outputs have.

    The name in the request counts, not the peer: a tunnel's peer is on this machine, too, and so
    is a page whose name somebody else has made point here.

    Raises:
        Problem: 404 ``demo_not_here``.
    """
    base = urlsplit(services().settings.base_url)
    if not (_is_loopback(base.hostname) and _is_loopback(urlsplit(f"//{request.host}").hostname)):
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "demo_not_here",
            "The demonstration site is for this machine alone.",
        )
    if request.host == base.netloc or request.method != "GET":
        return None
    # Outputs and uploads have that one address, and the pages' policy allows no other.
    return Response(
        status=HTTPStatus.FOUND, headers={"Location": services().settings.base_url + request.path}
    )


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def mint() -> tuple[str, datetime]:
    """A token as the site's sign-in would give the visitor, and when it ends.

    Raises:
        Problem: 404 ``demo_not_here``: there is no ``KHRONIKA_JWT_SECRET`` to sign it with.
    """
    settings = services().settings
    if settings.jwt_secret is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "demo_not_here",
            "The demonstration site needs KHRONIKA_JWT_SECRET to sign its visitors in.",
        )
    now = datetime.now(UTC)
    expires_at = now + TOKEN_LIVES
    claims = {
        "sub": visitor(),
        "role": "authenticated",
        "iss": settings.jwt_issuer,
        "aud": settings.jwt_audience,
        "iat": now,
        "exp": expires_at,
    }
    key = settings.jwt_secret.get_secret_value()
    return jwt.encode(claims, key, algorithm="HS256"), expires_at


def sign_in(user: str) -> Response:
    """Be another user from now on."""
    answer = Response(status=HTTPStatus.SEE_OTHER, headers={"Location": "/"})
    if user in USERS:
        answer.set_cookie(COOKIE, user, httponly=True, samesite="Lax")
    return answer
