"""Bounds on the time that a client of our HTTP servers may take."""

import resource
from dataclasses import dataclass

_MOST_CONNECTIONS = 1000
_OTHER_FILES = 256
"""File descriptors that a process keeps for its database, storage and broker."""


@dataclass(frozen=True)
class ClientBounds:
    """Bounds of one connection, and of the connections of one address.

    Attributes:
        head_sec: The longest time from the first byte of a request, or from the connection, to the
            end of its head. Bytes that arrive do not extend it.
        patience_sec: The time that a client may be waited for while its bytes earn none.
        bytes_per_sec: The lowest rate of a body and of an answer. Only the time counts in which we
            wait for the client.
        per_address: The most connections of one peer address; None where proxies stand between.
    """

    head_sec: float = 10.0
    patience_sec: float = 30.0
    bytes_per_sec: int = 1024
    per_address: int | None = 200

    def allowed_sec(self, moved_bytes: int) -> float:
        """Return the time that a client may be waited for, having moved so many bytes."""
        return self.patience_sec + moved_bytes / self.bytes_per_sec


def most_connections() -> int:
    """Return the connections that one process may hold with its limit of file descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    return max(_OTHER_FILES, min(_MOST_CONNECTIONS, soft - _OTHER_FILES))
