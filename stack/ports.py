"""Which ports a stack listens on."""

import socket
from collections.abc import Mapping
from contextlib import suppress

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8080
HIGHEST_PORT = 65535
HIGHEST_TRIED = DEFAULT_PORT + 100


class PortTaken(Exception):
    """The port that was asked for is somebody else's."""


def listen_for_web(env: Mapping[str, str]) -> socket.socket:
    """Listen where the API will: on ``PORT``, else on the first free port from 8080 on.

    The socket is handed to the web process as it is, so that the port cannot be lost to another
    stack between choosing and using it. ``PORT=0`` means any.

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
    """A socket that listens on loopback; port 0 means any free one.

    Raises:
        OSError: the port is in use.
    """
    # create_server sets SO_REUSEADDR: connections of the last run do not keep its port busy.
    return socket.create_server((LOOPBACK, port), backlog=128)


def port_of(listener: socket.socket) -> int:
    """The port it listens on."""
    return int(listener.getsockname()[1])


def free_port() -> int:
    """A port that was free just now, for servers that cannot be handed a socket."""
    with listen() as probe:
        return port_of(probe)
