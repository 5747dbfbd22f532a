"""Visitors of the site: the cookie that names a visitor's user, and the tokens of the users.

A visitor may be either user, without a password. Therefore the site serves this machine alone.
"""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import jwt
from flask import Response, abort, redirect, request

from examples.site.posts import USERS
from examples.site.settings import SiteSettings, is_loopback

COOKIE = "khronika_site_user"
TOKEN_LIFE = timedelta(minutes=15)


def refuse_other_machines(settings: SiteSettings) -> Response | None:
    """Refuse a request by a name of another machine; redirect one by another name of this one.

    The name in the request is checked beside the peer. The peer of a tunnel is on this machine, and
    so is the browser of a visitor whose page resolves a name of its own to this machine.

    The API accepts calls from the pages of one origin, so all pages are opened at that origin.
    """
    host = urlsplit(f"//{request.host}").hostname
    if not is_loopback(request.remote_addr) or not is_loopback(host):
        abort(404)
    if request.method == "GET" and request.host != urlsplit(settings.origin).netloc:
        return _redirect(settings.origin + request.path, 302)
    return None


def visitor() -> str:
    """Return the visitor's user: the cookie's, or the first one without a cookie."""
    named = request.cookies.get(COOKIE, "")
    return named if named in USERS else next(iter(USERS))


def sign_in(user: str) -> Response:
    """Make the visitor another user."""
    answer = _redirect("/", 303)
    if user in USERS:
        answer.set_cookie(COOKIE, user, httponly=True, samesite="Lax")
    return answer


def mint(settings: SiteSettings, user: str) -> tuple[str, datetime]:
    """Return a token of a user for the API, and the instant at which it ends."""
    now = datetime.now(UTC)
    claims = {
        "sub": user,
        "role": "authenticated",
        "iss": settings.jwt_issuer,
        "aud": settings.jwt_audience,
        "iat": now,
        "exp": now + TOKEN_LIFE,
    }
    key = settings.jwt_secret.get_secret_value()
    return jwt.encode(claims, key, algorithm="HS256"), now + TOKEN_LIFE


def _redirect(address: str, status: int) -> Response:
    answer = redirect(address, status)
    assert isinstance(answer, Response)
    return answer
