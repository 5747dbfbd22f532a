"""Clients that keep a server waiting: they stop in the middle of a request, or of an answer.

Each of them occupies a thread, and a server that waited for ever could be stopped by anybody who
opens as many connections as it has threads. The kernel ends the wait (SO_RCVTIMEO and SO_SNDTIMEO,
socket(7)): a connection inherits both from the socket that it was accepted on, whatever Python
makes of its own timeouts. A connection that is kept alive waits elsewhere and is not touched.

This ends silence. Somebody who sends a byte now and then is for a proxy that takes requests in
before it passes them on.
"""

import logging
import socket
import struct
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

LINGER_SEC = 0.5
"""How long a client is given to close its end, so that the last of an answer is not cut off
(RFC 9112, 9.6)."""
_LINGER_BYTES = 64 * 1024


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's threads; the loop that hands out connections waits for no client.

    It would: gunicorn closes a connection in that loop and gives its client two seconds to close
    the other end, in which nobody else is served.
    """

    def handle(self, conn: Any) -> Any:
        """Serve a request, and wait here until the connection can be closed at once."""
        goes_on = super().handle(conn)
        if not goes_on:
            with suppress(OSError):  # it is closed, or its client keeps still
                _linger(conn.sock)
            with suppress(OSError):
                # From here on nothing more is waited for: a read finds the end at once.
                conn.sock.shutdown(socket.SHUT_RDWR)
        return goes_on


def _linger(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)
    ends_at = time.monotonic() + LINGER_SEC
    read_bytes = 0
    while read_bytes < _LINGER_BYTES and (left_sec := ends_at - time.monotonic()) > 0:
        connection.settimeout(left_sec)
        rest = connection.recv(4096)
        if not rest:
            return
        read_bytes += len(rest)


def give_up_silent(
    listening: Iterable[socket.socket], log: logging.Logger, *, after_sec: float
) -> None:
    """Let connections that these sockets accept fail after a silence of so many seconds.

    Args:
        log: Where the server reports broken connections: a silent one is not worth a traceback.
    """
    whole_sec = int(after_sec)
    timeval = struct.pack("@ll", whole_sec, int((after_sec - whole_sec) * 1_000_000))
    for one in listening:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
    log.addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    # What a read or write that has run into these timeouts raises.
    return not (record.exc_info and isinstance(record.exc_info[1], BlockingIOError))
