"""Security headers: a browser loads nothing for an answer that is not one of our pages."""

import secrets

from apiflask import APIFlask
from flask import Response, g

CLOSED = "default-src 'none'; frame-ancestors 'none'"
"""For documents: JSON, text and errors load nothing and are never framed."""

MEDIA = "default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'"
"""For an object opened by its address: the browser's own viewer needs these."""

PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; font-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""For our own pages: our own origin alone, no inline script or style; players use blob:."""


def page_with(origin: str) -> str:
    """Return `PAGE` for a page that also reads from or sends to another origin."""
    policy = PAGE
    for directive in ("img-src", "media-src", "connect-src"):
        policy = policy.replace(f"{directive} 'self'", f"{directive} 'self' {origin}")
    return policy


def register(app: APIFlask) -> None:
    """Add the headers to every answer that does not set its own."""
    app.after_request(_harden)


def nonce() -> str:
    """Return the value of the current answer's ``style-src 'nonce-…'``."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return str(g.csp_nonce)


def _harden(response: Response) -> Response:
    # Owners upload any bytes: a browser must not guess a type other than the one we send.
    response.headers["X-Content-Type-Options"] = "nosniff"
    # Addresses contain media tokens, which other sites must not learn from a Referer.
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault("Content-Security-Policy", CLOSED)
    response.headers.setdefault("X-Frame-Options", "DENY")
    return response
