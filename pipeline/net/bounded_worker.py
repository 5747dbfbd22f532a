"""gunicorn's threaded worker, in which no client occupies a thread for long.

gunicorn gives a connection a thread as soon as its first byte arrives, and waits for the rest of
the request there: as many slow clients as there are threads stop the server. This worker collects a
request in its main loop, which costs no thread, and within an absolute time. A thread waits for its
client only in large bodies and in answers, by the pace of `ClientBounds`. While requests wait for a
thread, the threads that wait for the slowest clients are freed.
"""

from __future__ import annotations

import socket
from concurrent.futures import Future
from contextlib import suppress
from errno import EMFILE, ENFILE
from functools import partial
from selectors import EVENT_READ
from time import monotonic, sleep
from typing import Any

from gunicorn.workers.gthread import (  # type: ignore[import-untyped]
    STOP_KEEPALIVE_LINGER,
    TConn,
    ThreadWorker,
)

from pipeline.net.arriving_request import ArrivingRequest
from pipeline.net.client_bounds import ClientBounds
from pipeline.net.client_networks import network_of
from pipeline.net.paced_socket import ClientPace, ClientTooSlow, PacedSocket
from pipeline.net.refused_request import (
    HEAD_TOO_LARGE,
    MALFORMED,
    TOO_SLOW,
    RefusedRequest,
    refusal_of,
)

REFUSAL = (
    "--worker-class: another class of worker waits for slow clients in its threads. "
    "Leave it out of the command line and of GUNICORN_CMD_ARGS."
)
"""Said by a server that was told to run another worker, which no test has tried."""

LINGER_SEC = 2.0
"""The time that a client gets to read the end of an answer (RFC 9112, 9.6)."""
_READ_BYTES = 64 * 1024
_LOGGED_EVERY_SEC = 10.0


class BoundedWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """The worker of our HTTP servers.

    Its fields are used by the main loop; a thread only takes the connections that it ends out of
    `_of_address`.

    Attributes:
        bounds: The bounds of clients; gunicorn's configuration sets them in ``post_fork``.
    """

    bounds = ClientBounds()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._arriving: dict[TConn, ArrivingRequest] = {}
        self._lingering: dict[TConn, float] = {}
        self._running: set[TConn] = set()
        self._being_cut: set[TConn] = set()
        self._of_address: dict[str, dict[PacedSocket, TConn]] = {}
        self._cut = 0
        self._cut_logged_at = 0.0

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse TLS, whose bytes the main loop cannot read: a proxy ends it."""
        super().check_config(cfg, log)
        if cfg.is_ssl:
            log.error("This server speaks no TLS: let a proxy end it.")
            raise SystemExit(1)

    def accept(self, listener: Any) -> None:
        """Accept a connection; without a free file descriptor, close another one first."""
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno not in (EMFILE, ENFILE):
                raise
            if not self._make_room(self._of_busiest_address()):
                sleep(0.05)

    def enqueue_req(self, conn: TConn) -> None:
        """Collect a request of a connection, in place of giving it a thread."""
        if not isinstance(conn.sock, PacedSocket):
            self._adopt(conn)
        arriving = ArrivingRequest(self.bounds)
        if conn.parser is not None:
            arriving.add(conn.parser.unreader.take_buffered())
        conn.sock.setblocking(False)
        self._arriving[conn] = arriving
        self.poller.register(conn.sock, EVENT_READ, partial(self._on_arrival, conn))
        self._on_arrival(conn, conn.sock)

    def _keepalive_after(self, conn: TConn, keepalive: bool) -> bool:  # noqa: FBT001 # gunicorn's
        """Keep a connection, unless a part of a body that nothing read has yet to arrive.

        gunicorn waits for it in the thread, so that a body that is refused by its announced length
        would hold the thread longer than one that is read.
        """
        if isinstance(conn.sock, PacedSocket):
            conn.sock.pace.end()
        try:
            return bool(super()._keepalive_after(conn, keepalive))
        except ClientTooSlow:
            return False

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        """Keep a connection for its next request, or let its client read the end of the answer."""
        self._running.discard(conn)
        self._being_cut.discard(conn)
        if not fs.cancelled() and fs.exception() is None and fs.result():
            super().finish_request(conn, fs)
        else:
            self._linger(conn)

    def murder_pending(self) -> None:
        """End whatever has taken too long; gunicorn calls it at least once a second."""
        now = monotonic()
        for conn, arriving in list(self._arriving.items()):
            if now >= arriving.expires_at:
                self._refuse(conn, TOO_SLOW if arriving.received else None)
            elif not self.alive and arriving.is_idle_for(STOP_KEEPALIVE_LINGER):
                self._close(conn)
        for conn in [conn for conn, ends_at in self._lingering.items() if now >= ends_at]:
            self._close(conn)
        self._free_threads()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that the parser refused with a problem document."""
        refused = refusal_of(exc)
        if refused is None:
            super().handle_error(req, client, addr, exc)
            return
        self.log.warning("Refused a request: %s", refused.code)
        with suppress(OSError):
            client.send(refused.to_bytes(), socket.MSG_DONTWAIT)

    def _adopt(self, conn: TConn) -> None:
        """Bound a new connection, and make room for it."""
        address = network_of(conn.client[0]) if isinstance(conn.client, tuple) else ""
        of_address = self._of_address.get(address, {})
        if address and self.bounds.per_address and len(of_address) >= self.bounds.per_address:
            self._make_room(of_address)
        if self.nr_conns >= self.worker_connections:
            self._make_room(self._of_busiest_address())
        conn.sock = PacedSocket.adopt(
            conn.sock, self.bounds, on_close=partial(self._forget, address)
        )
        self._of_address.setdefault(address, {})[conn.sock] = conn

    def _forget(self, address: str, sock: PacedSocket) -> None:
        of_address = self._of_address.get(address, {})
        of_address.pop(sock, None)
        if not of_address:
            self._of_address.pop(address, None)

    def _of_busiest_address(self) -> dict[PacedSocket, TConn]:
        return max(self._of_address.values(), key=len, default={})

    def _make_room(self, candidates: dict[PacedSocket, TConn]) -> bool:
        """Close the oldest of these connections that has no thread; return False without one."""
        for conn in list(candidates.values()):  # a thread that ends a connection takes it out
            if conn not in self._running:
                self._close(conn)
                return True
        return False

    def _on_arrival(self, conn: TConn, _sock: Any) -> None:
        arriving = self._arriving[conn]
        try:
            data = conn.sock.recv(_READ_BYTES)
        except BlockingIOError:
            data = None
        except OSError:
            self._close(conn)
            return
        arriving.add(data or b"")
        if arriving.is_head_too_large:
            self._refuse(conn, HEAD_TOO_LARGE)
        elif arriving.is_ready or (data == b"" and arriving.has_head):
            self._give_thread(conn, bytes(arriving.received))
        elif data == b"":
            self._refuse(conn, MALFORMED if arriving.received else None)

    def _give_thread(self, conn: TConn, received: bytes) -> None:
        self._unregister(conn)
        conn.sock.pace = ClientPace(self.bounds)
        conn.init()
        conn.parser.unreader.unread(received)
        self._running.add(conn)
        super().enqueue_req(conn)

    def _free_threads(self) -> None:
        """Cut the slowest clients, as many as there are requests without a thread."""
        wanted = len(self._running) - self.cfg.threads - len(self._being_cut)
        if wanted <= 0:
            return
        running = self._running - self._being_cut
        rates = [(conn.sock.pace.slow_bytes_per_sec, conn) for conn in running]
        slow = sorted((each for each in rates if each[0] is not None), key=lambda each: each[0])
        for _, conn in slow[:wanted]:
            self._being_cut.add(conn)
            with suppress(OSError):
                conn.sock.shutdown(socket.SHUT_RDWR)
        self._cut += len(slow[:wanted])
        if self._cut and monotonic() - self._cut_logged_at > _LOGGED_EVERY_SEC:
            self.log.warning("Cut %d slow clients: requests need a thread", self._cut)
            self._cut, self._cut_logged_at = 0, monotonic()

    def _refuse(self, conn: TConn, refused: RefusedRequest | None) -> None:
        """Answer a request that has no thread, and end its connection."""
        if refused is None:
            self._close(conn)
            return
        with suppress(OSError):
            conn.sock.send(refused.to_bytes())
        self._linger(conn)

    def _linger(self, conn: TConn) -> None:
        """Close our side; close the connection when its client has done so, or after a time."""
        self._unregister(conn)
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, EVENT_READ, partial(self._on_rest, conn))
        except (OSError, ValueError):  # it is closed already
            self._close(conn)
        else:
            self._lingering[conn] = monotonic() + LINGER_SEC

    def _on_rest(self, conn: TConn, _sock: Any) -> None:
        try:
            is_ended = not conn.sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            is_ended = True
        if is_ended:
            self._close(conn)

    def _close(self, conn: TConn) -> None:
        self._unregister(conn)
        self.nr_conns -= 1
        conn.close()

    def _unregister(self, conn: TConn) -> None:
        self._arriving.pop(conn, None)
        self._lingering.pop(conn, None)
        with suppress(ValueError):
            self.keepalived_conns.remove(conn)
        with suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)


def runs_bounded_workers(server: Any) -> bool:
    """Return True if gunicorn's command line or environment names no other class of worker."""
    return issubclass(server.cfg.worker_class, BoundedWorker)
