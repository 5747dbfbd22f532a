"""The TCP connection of a request, if the server exposes it."""

from collections.abc import Mapping
from contextlib import suppress
from socket import MSG_DONTWAIT, MSG_PEEK, SHUT_RDWR, socket
from ssl import SSLSocket
from typing import Any

SERVERS = ("gunicorn.socket", "werkzeug.socket")
"""The members of the WSGI environment that hold the socket, by server."""


class Connection:
    """The connection of a request whose body has been read; the client sends nothing more."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        """Find the socket in the WSGI environment of a request."""
        found = next((environ[name] for name in SERVERS if name in environ), None)
        self._socket = found if isinstance(found, socket) else None

    def is_gone(self) -> bool:
        """Return True if the client has closed the connection, False if that is unknown.

        The check never waits.
        """
        # Peeking is impossible on a TLS socket: its data has to be read to be decrypted.
        if self._socket is None or isinstance(self._socket, SSLSocket):
            return False
        try:
            return self._socket.recv(1, MSG_PEEK | MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def cut(self) -> None:
        """Shut the connection down, so that a thread blocked in sending gets an error."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(SHUT_RDWR)
