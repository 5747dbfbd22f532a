"""The connection under a request, as far as the server shows it."""

from collections.abc import Mapping
from contextlib import suppress
from socket import MSG_DONTWAIT, MSG_PEEK, SHUT_RDWR, socket
from ssl import SSLSocket
from typing import Any

SERVERS = ("gunicorn.socket", "werkzeug.socket")
"""Where the servers that we run under put it."""


class Connection:
    """A connection that nothing more is expected to come over."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        """That of the request whose WSGI environment this is."""
        found = next((environ[name] for name in SERVERS if name in environ), None)
        self._socket = found if isinstance(found, socket) else None

    def is_gone(self) -> bool:
        """Whether the other side has closed it. Never waits; where it cannot be told, False."""
        # What is encrypted cannot be looked at without being read.
        if self._socket is None or isinstance(self._socket, SSLSocket):
            return False
        try:
            return self._socket.recv(1, MSG_PEEK | MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def cut(self) -> None:
        """Break it: a thread that is stuck in sending over it gets an error."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(SHUT_RDWR)
