"""The listeners of a server process, and the two ends of a connection.

The ends are read from the socket: no header of a client, a proxy or the PROXY protocol changes
them.
"""

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from pipeline.runtime.loopback import is_loopback

_SOCKETS = ("gunicorn.socket", "werkzeug.socket")
"""The variables of WSGI in which servers pass the connection."""
_BEFORE_PROXIES = "werkzeug.proxy_fix.orig"
_HIGHEST_PORT = 65535


@dataclass(frozen=True)
class ListenAddress:
    """An address that a process listens on."""

    host: IPv4Address | IPv6Address
    port: int

    def __str__(self) -> str:
        """Return the address as a URL has it."""
        is_short = isinstance(self.host, IPv4Address)
        return f"{self.host}:{self.port}" if is_short else f"[{self.host}]:{self.port}"

    @property
    def is_wildcard(self) -> bool:
        """True for every address of the machine."""
        return self.host.is_unspecified

    def is_end_of(self, environ: Mapping[str, Any]) -> bool:
        """Return True if a request came in by this listener; False if that is unknown."""
        connection = _connection(environ)
        if connection is None:
            return False
        try:
            return self.is_name_of(connection.getsockname())
        except OSError:
            return False

    def is_name_of(self, name: Any) -> bool:
        """Return True if ``getsockname()`` gave the name of this listener or a connection to it."""
        if not isinstance(name, tuple) or name[1] != self.port:
            return False
        return self.is_wildcard or ip_address(name[0].partition("%")[0]) == self.host


def parse_listen_address(value: object) -> object:
    """Parse ``ADDRESS:PORT``; leave anything but text to the validation.

    Raises:
        ValueError: It is no such address.
    """
    if not isinstance(value, str):
        return value
    host, _, port = value.strip().rpartition(":")
    try:
        address = ListenAddress(ip_address(host.removeprefix("[").removesuffix("]")), int(port))
    except ValueError:
        raise ValueError("is no ADDRESS:PORT, such as 127.0.0.1:9090 or [::1]:9090") from None
    if not 0 < address.port <= _HIGHEST_PORT:
        raise ValueError("has a port that is not between 1 and 65535")
    return address


def foreign_listeners(listening: Iterable[socket.socket]) -> list[str]:
    """Return the names of the listeners that other machines reach."""
    names = [each.getsockname() for each in listening]
    return [f"{name[0]}:{name[1]}" for name in names if not _is_here(name)]


def refuse_listeners(foreign: Iterable[str]) -> str:
    """Return the reason for which a development process does not listen there."""
    return (
        f"KHRONIKA_ENV: development serves this machine alone and does not listen on "
        f"{', '.join(foreign)}. Listen on 127.0.0.1, or set KHRONIKA_ENV=production."
    )


def comes_from_here(environ: Mapping[str, Any]) -> bool:
    """Return True if the peer of a request's connection is this machine.

    A connection that is broken meanwhile has no peer, and gets no answer either.
    """
    connection = _connection(environ)
    if connection is None:
        before = environ.get(_BEFORE_PROXIES) or environ
        return is_loopback(str(before.get("REMOTE_ADDR", "")))
    try:
        return _is_here(connection.getpeername())
    except OSError:
        return False


def _is_here(name: Any) -> bool:
    """Return True for a name on loopback or of a Unix socket, which this machine alone reaches."""
    return is_loopback(name[0]) if isinstance(name, tuple) else True


def _connection(environ: Mapping[str, Any]) -> socket.socket | None:
    found = (environ.get(name) for name in _SOCKETS)
    return next((each for each in found if each is not None), None)
