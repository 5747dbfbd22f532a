"""Security headers: a browser loads nothing for an answer that is not one of our pages."""

import secrets
from collections.abc import Iterable, Sequence

from apiflask import APIFlask
from flask import Response, current_app, g

from pipeline.net.fetch_policy import DEFAULT_PORTS, FetchPolicy

SOURCES = "KHRONIKA_OUTPUT_SOURCES"
"""Name of the sources in the application's configuration."""

CLOSED = "default-src 'none'; frame-ancestors 'none'"
"""For documents: JSON, text and errors load nothing and are never framed."""

MEDIA = "default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'"
"""For an object opened by its address: the browser's own viewer needs these."""

PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; font-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""For our own pages: our own origin, no inline script or style; players use blob:."""


def page_policy(*origins: str) -> str:
    """Return the policy of our own pages: `PAGE` and the hosts of the providers' outputs.

    Args:
        origins: Further origins that the page reads from or sends to.
    """
    sources = " ".join(["'self'", *origins, *current_app.config.get(SOURCES, ())])
    policy = PAGE
    for directive in ("img-src", "media-src", "connect-src"):
        policy = policy.replace(f"{directive} 'self'", f"{directive} {sources}")
    return policy


def sources_of(hosts: Iterable[str], fetched: FetchPolicy) -> list[str]:
    """Return the source expressions of hosts that outputs may lie on.

    Args:
        hosts: Names, or ``*.`` and a domain.
        fetched: The policy by which outputs are fetched: its schemes and ports are those of the
            addresses.
    """
    schemes = ["https"] if fetched.https_only else ["https", "http"]
    return [
        f"{scheme}://{host}{port}"
        for host in sorted(hosts)
        for scheme in schemes
        for port in _ports(scheme, fetched.ports)
    ]


def _ports(scheme: str, ports: frozenset[int] | None) -> list[str]:
    if ports is None:
        return [":*"]
    others = ports - set(DEFAULT_PORTS.values())
    own = [""] if DEFAULT_PORTS[scheme] in ports else []
    return [*own, *(f":{port}" for port in sorted(others))]


def register(app: APIFlask, sources: Sequence[str]) -> None:
    """Add the headers to every answer that does not set its own.

    Args:
        sources: Source expressions of the hosts that the providers' outputs may lie on.
    """
    app.config[SOURCES] = sources
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
