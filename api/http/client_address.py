"""Where a request comes from: its peer, or what the proxies before us say of it."""

from apiflask import APIFlask
from flask import request
from werkzeug.middleware.proxy_fix import ProxyFix

LONGEST = 64
"""Characters of an address that are kept: an IPv6 address with a zone has fewer."""


def register(app: APIFlask, proxies: int) -> None:
    """Believe as many proxies as there are.

    Each of them adds one address to ``X-Forwarded-For``; whatever stands before those the client
    wrote itself. Of the protocol and host only the nearest proxy is believed: they are replaced on
    the way, not added to.

    Args:
        proxies: How many there are; with 0 the headers change nothing.
    """
    if proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=proxies, x_proto=1, x_host=1
        )


def client_address() -> str:
    """The address that the present request comes from, for limits, audit and log alike."""
    return (request.remote_addr or "unknown")[:LONGEST]
