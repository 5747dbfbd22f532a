"""The address of the client: the connection's peer, or the address that our proxies report."""

from apiflask import APIFlask
from flask import request
from werkzeug.middleware.proxy_fix import ProxyFix

from pipeline.net.client_networks import shortest_form

LONGEST = 64
"""The most characters of an address that are kept; an IPv6 address with a zone has fewer."""


def register(app: APIFlask, proxies: int) -> None:
    """Read the client's address from the headers that the given number of proxies write.

    Each proxy appends one address to ``X-Forwarded-For``; the addresses before those were written
    by the client. The protocol is read from the nearest proxy alone, because each proxy replaces
    it. The host is read from no header of a proxy: nothing of ours needs it, and a proxy that does
    not write it would pass the client's on.

    Args:
        proxies: The number of proxies in front of this process. With 0 the headers are ignored. If
            the number is too high, a caller can forge the address that limits are counted by.
    """
    if proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=proxies, x_proto=1, x_host=0
        )


def client_address() -> str:
    """Return the client's address of the current request, for limits, audit events and logs."""
    return shortest_form((request.remote_addr or "unknown")[:LONGEST])
