"""Connections that are made to an address that was checked, and to no other.

Checking a name and then letting the HTTP library resolve it again would leave a gap in which the
name may change its mind (DNS rebinding). So the one look-up happens here, inside urllib3's
connection: every address it gives is checked, and the socket goes to one of those. TLS still asks
for, and verifies, the host's name.
"""

import socket
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import Any

import requests.adapters
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from pipeline.net.fetch_errors import timed_out, unreachable
from pipeline.net.fetch_policy import FetchPolicy, check_address, check_port

_MAX_ADDRESSES = 4  # tried in turn, each with its own timeout
_NAME_UNKNOWN = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


class Dialer:
    """Opens the sockets of one fetcher and can cut them all."""

    def __init__(self, policy: FetchPolicy) -> None:
        self._policy = policy
        self._open_sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._lock = threading.Lock()  # a set must not grow while it is gone through
        self.cut_off = threading.Event()

    def dial(self, connection: HTTPConnection) -> socket.socket:
        """A connected socket for a connection of urllib3's.

        Raises:
            FetchRefused: the port or one of the host's addresses is refused, the name is unknown,
                or no address answers.
        """
        port = connection.port or connection.default_port
        check_port(port, self._policy)
        targets = self._resolve(connection._dns_host, port)  # noqa: SLF001  # `host` lost its final dot
        return self._first_open(targets, connection.socket_options or ())

    def watch(self, connection: HTTPConnection) -> None:
        """Remember the socket that a connection ended up with: over TLS it is another object.

        The socket and not the connection, which lets go of it when the answer has no length. One
        that was still being connected as all were cut is cut now.
        """
        if connection.sock is None:
            return
        with self._lock:
            self._open_sockets.add(connection.sock)
        if self.cut_off.is_set():
            _break(connection.sock)

    @contextmanager
    def cut_after(self, seconds: float) -> Iterator[None]:
        """Cut at the end of a time, unless the block ends before."""
        timer = threading.Timer(seconds, self.cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()  # a cut that has begun must not reach into the next call

    def cut(self) -> None:
        """Break every open connection; a read that waits on one ends at once."""
        self.cut_off.set()
        with self._lock:
            open_sockets = list(self._open_sockets)
        for sock in open_sockets:
            _break(sock)

    def _resolve(self, host: str, port: int) -> list[tuple[int, Any]]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise unreachable(
                "The host's name could not be resolved.",
                transient=error.errno not in _NAME_UNKNOWN,
            ) from error
        except UnicodeError as error:  # not a name that DNS can hold
            raise unreachable("The host's name is malformed.", transient=False) from error
        for _, _, _, _, where in found:
            check_address(ip_address(where[0]), self._policy)
        return [(family, where) for family, _, _, _, where in found[:_MAX_ADDRESSES]]

    def _first_open(self, targets: list[tuple[int, Any]], options: Any) -> socket.socket:
        failure: OSError | None = None
        for family, where in targets:
            if self.cut_off.is_set():
                break
            try:
                return self._open(family, where, options)
            except OSError as error:
                failure = error
        if failure is None or isinstance(failure, TimeoutError):
            raise timed_out("The server did not take the connection in time.") from failure
        raise unreachable("The server refused the connection.", transient=True) from failure

    def _open(self, family: int, where: Any, options: Any) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(self._policy.connect_timeout_sec)
            sock.connect(where)
        except BaseException:
            sock.close()
            raise
        return sock


class GuardedAdapter(requests.adapters.HTTPAdapter):
    """requests' transport over a `Dialer`: no proxy, no retry."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Put our connections under the pools that requests makes."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pools(self._dialer)


def _break(sock: socket.socket) -> None:
    # Not SSLSocket.shutdown, which would pull the TLS state away under the reader.
    with suppress(OSError):  # it was closed meanwhile
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _pools(dialer: Dialer) -> dict[str, type[HTTPConnectionPool]]:
    """Pool classes bound to one dialer: urllib3 is told classes, not objects, to connect with."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return dialer.dial(self)

        def connect(self) -> None:
            super().connect()
            dialer.watch(self)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return dialer.dial(self)

        def connect(self) -> None:
            super().connect()
            dialer.watch(self)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
