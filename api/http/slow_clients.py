"""Timeouts for clients that stop in the middle of a request or of an answer.

Each such client occupies a thread; without a timeout, as many connections as the server has threads
would stop it. The kernel ends the wait (SO_RCVTIMEO and SO_SNDTIMEO, socket(7)): a connection
inherits both from the socket that accepted it, independently of Python's own timeouts. An idle
keep-alive connection waits in gunicorn's poller and is not affected.

The timeouts end silence only. A client that sends a byte now and then has to be stopped by a proxy
that buffers requests.
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
"""The time a client gets to close its end, so that the end of an answer is not lost (RFC 9112,
9.6)."""
_LINGER_BYTES = 64 * 1024


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's threaded worker, whose main loop never waits for a client.

    gunicorn closes a connection in its main loop and waits up to two seconds for the client to
    close the other end. No other client is served during that wait.
    """

    def handle(self, conn: Any) -> Any:
        """Serve a request; wait in its thread until the connection can be closed at once."""
        is_kept_alive = super().handle(conn)
        if not is_kept_alive:
            with suppress(OSError):  # it is closed already, or its client is silent
                _linger(conn.sock)
            with suppress(OSError):
                # After this, gunicorn's own read returns the end at once.
                conn.sock.shutdown(socket.SHUT_RDWR)
        return is_kept_alive


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


def close_silent_connections(
    listening: Iterable[socket.socket], log: logging.Logger, *, after_sec: float
) -> None:
    """Make reads and writes of accepted connections fail after ``after_sec`` of silence.

    Args:
        log: The server's log of broken connections. Tracebacks of silent clients are removed from
            it.
    """
    whole_sec = int(after_sec)
    timeval = struct.pack("@ll", whole_sec, int((after_sec - whole_sec) * 1_000_000))
    for listener in listening:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
    log.addFilter(_is_no_timeout)


def _is_no_timeout(record: logging.LogRecord) -> bool:
    # A read or write that runs into these timeouts raises BlockingIOError.
    return not (record.exc_info and isinstance(record.exc_info[1], BlockingIOError))
