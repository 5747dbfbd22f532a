"""The ports that a stack listens on."""

import socket
from collections.abc import Mapping
from contextlib import suppress

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8080
HIGHEST_PORT = 65535
HIGHEST_TRIED = DEFAULT_PORT + 100


class PortTaken(Exception):
    """The requested port is in use or invalid; the message names it."""


def listen_for_web(env: Mapping[str, str]) -> socket.socket:
    """Listen for the API: on ``PORT``, else on the first free port from 8080 on.

    The web process inherits the socket, so that another stack cannot take the port between choice
    and use. ``PORT=0`` means any free port.

    Raises:
        PortTaken: ``PORT`` is in use or no port number, or 100 ports in a row are in use.
    """
    wanted = env.get("PORT")
    if wanted:
        try:
            return listen(_port_number(wanted))
        except (OSError, ValueError) as error:
            raise PortTaken(f"cannot listen on PORT={wanted}: {error}") from error
    for port in range(DEFAULT_PORT, HIGHEST_TRIED):
        try:
            return listen(port)
        except OSError:
            continue
    raise PortTaken(f"every port from {DEFAULT_PORT} to {HIGHEST_TRIED - 1} is in use; set PORT=")


def listen_above(port: int) -> socket.socket:
    """Listen on the first free port above another; on any free one where there is none."""
    for candidate in range(port + 1, HIGHEST_PORT + 1):
        with suppress(OSError):
            return listen(candidate)
    return listen()


def _port_number(text: str) -> int:
    number = int(text)
    if not 0 <= number <= HIGHEST_PORT:
        raise ValueError(f"not between 0 and {HIGHEST_PORT}")
    return number


def listen(port: int = 0) -> socket.socket:
    """Return a socket that listens on loopback; port 0 means any free one.

    Raises:
        OSError: the port is in use.
    """
    # create_server sets SO_REUSEADDR: connections of the last run do not block its port.
    return socket.create_server((LOOPBACK, port), backlog=128)


def port_of(listener: socket.socket) -> int:
    """Return the port of a listening socket."""
    return int(listener.getsockname()[1])


def free_port() -> int:
    """Return a port that was free just now, for servers that cannot inherit a socket."""
    with listen() as probe:
        return port_of(probe)
