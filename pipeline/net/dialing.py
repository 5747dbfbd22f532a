"""Connections to checked addresses only.

A second look-up by the HTTP library could give another address than the one that was checked (DNS
rebinding). The single look-up therefore happens here, inside urllib3's connection: each address is
checked, and the socket connects to a checked one. TLS still verifies the host's name. The address
of an excepted origin may be private: its host is in a setting, or is our own.
"""

import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import Any

import requests.adapters
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from pipeline.net.fetch_errors import timed_out, unreachable
from pipeline.net.fetch_policy import FetchPolicy, check_address, check_port
from pipeline.net.origins import DEFAULT_PORTS, WebOrigin, plain_host

_MAX_ADDRESSES = 4  # tried in turn, each with its own timeout
_WATCHED_EVERY_SEC = 0.25
_NAME_UNKNOWN = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


class Dialer:
    """Opener of the sockets of one fetcher, which can also cut them all."""

    def __init__(self, policy: FetchPolicy) -> None:
        self._policy = policy
        self._open_sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._lock = threading.Lock()  # the set must not change while `cut` copies it
        self.cut_off = threading.Event()

    def dial(self, connection: HTTPConnection) -> socket.socket:
        """Open a socket for a connection of urllib3.

        Raises:
            FetchRefused: the port or one of the host's addresses is refused, the name is unknown,
                or no address answers.
        """
        scheme = "https" if isinstance(connection, HTTPSConnection) else "http"
        port = connection.port or DEFAULT_PORTS[scheme]
        host = connection._dns_host  # noqa: SLF001  # `host` lost its final dot
        # A redirect to an excepted origin was refused before, where the way to it is known.
        excepted = self._policy.is_excepted(WebOrigin(scheme, plain_host(host), port))
        if not excepted:
            check_port(port, self._policy)
        targets = self._resolve(host, port, public_only=not excepted)
        return self._first_open(targets, connection.socket_options or ())

    def watch(self, connection: HTTPConnection) -> None:
        """Remember the final socket of a connection, which is another object under TLS.

        A connection drops its socket if the answer has no length, so the socket itself is kept. A
        socket that was still connecting during `cut` is cut now.
        """
        if connection.sock is None:
            return
        with self._lock:
            self._open_sockets.add(connection.sock)
        if self.cut_off.is_set():
            _break(connection.sock)

    @contextmanager
    def cut_after(self, seconds: float) -> Iterator[None]:
        """Cut all sockets after a time, unless the block ends before."""
        timer = threading.Timer(seconds, self.cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()  # a cut that has begun must not affect the next call

    @contextmanager
    def cut_when(self, is_wanted: Callable[[], bool]) -> Iterator[None]:
        """Cut all sockets of the block as soon as this is wanted, those of later calls too."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(_WATCHED_EVERY_SEC):
                if is_wanted():
                    self.cut()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def cut(self) -> None:
        """Break each open connection; a waiting read ends at once."""
        self.cut_off.set()
        with self._lock:
            open_sockets = list(self._open_sockets)
        for sock in open_sockets:
            _break(sock)

    def _resolve(self, host: str, port: int, *, public_only: bool) -> list[tuple[int, Any]]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise unreachable(
                "The host's name could not be resolved.",
                transient=error.errno not in _NAME_UNKNOWN,
            ) from error
        except UnicodeError as error:  # DNS cannot hold such a name
            raise unreachable("The host's name is malformed.", transient=False) from error
        if public_only:
            for _, _, _, _, where in found:
                check_address(ip_address(where[0]))
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
    """Transport of requests over a `Dialer`, without proxies and retries."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of requests use our connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pools(self._dialer)


def _break(sock: socket.socket) -> None:
    # SSLSocket.shutdown would remove the TLS state while another thread reads.
    with suppress(OSError):  # already closed
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _pools(dialer: Dialer) -> dict[str, type[HTTPConnectionPool]]:
    """Make pool classes bound to one dialer, because urllib3 takes classes, not objects."""

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
