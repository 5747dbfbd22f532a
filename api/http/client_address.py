"""The address of the client: the connection's peer, or the address that our proxies report."""

from ipaddress import IPv6Address, ip_address, ip_network

from apiflask import APIFlask
from flask import request
from werkzeug.middleware.proxy_fix import ProxyFix

LONGEST = 64
"""The most characters of an address that are kept; an IPv6 address with a zone has fewer."""

NETWORK_BITS = 64
"""The network part of an IPv6 address; a provider's customer chooses the rest (RFC 6177)."""


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
    return (request.remote_addr or "unknown")[:LONGEST]


def network_of(address: str) -> str:
    """Return the address range of one party: an IPv4 address, or the network of an IPv6 one."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ip_network((int(parsed), NETWORK_BITS), strict=False))
