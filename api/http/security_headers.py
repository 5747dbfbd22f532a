"""Headers that tell browsers what an answer may do: nothing, unless it is a page of ours."""

import secrets

from apiflask import APIFlask
from flask import Response, g

CLOSED = "default-src 'none'; frame-ancestors 'none'"
"""For documents: JSON, text and errors have nothing to load, and nobody has to frame them."""

MEDIA = "default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'"
"""For an object that somebody opens by its address: the browser's own viewer needs these."""

PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; font-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""For our own pages: only what we serve, no inline script or style; players use blob: addresses."""


def page_with(origin: str) -> str:
    """`PAGE`, for a page that shows what lies at another origin as well, or sends it there."""
    policy = PAGE
    for directive in ("img-src", "media-src", "connect-src"):
        policy = policy.replace(f"{directive} 'self'", f"{directive} 'self' {origin}")
    return policy


def register(app: APIFlask) -> None:
    """Put the headers on every answer that has none of its own."""
    app.after_request(_harden)


def nonce() -> str:
    """A value for one answer's ``style-src 'nonce-…'``."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return str(g.csp_nonce)


def _harden(response: Response) -> Response:
    # Owners upload what they like: no browser may guess a type that we did not say.
    response.headers["X-Content-Type-Options"] = "nosniff"
    # Addresses hold media tokens: they are nobody else's business.
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault("Content-Security-Policy", CLOSED)
    response.headers.setdefault("X-Frame-Options", "DENY")
    return response
