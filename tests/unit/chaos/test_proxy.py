"""The wire does to a real connection what its name says."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from stack.ports import LOOPBACK, listen, port_of
from tests.chaos.proxy import Proxy, Wire

PATIENCE_SEC = 5.0
SILENCE_SEC = 0.3


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """In front of a server that sends back what it gets."""
    listener = listen()
    threading.Thread(target=_echo, args=(listener,), daemon=True).start()
    proxy = Proxy(lambda: (LOOPBACK, port_of(listener)))
    yield proxy
    proxy.close()
    listener.close()


def _echo(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_send_back, args=(connection,), daemon=True).start()


def _send_back(connection: socket.socket) -> None:
    with closing(connection):
        try:
            while chunk := connection.recv(1024):
                connection.sendall(chunk)
        except OSError:
            return


def _connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection((LOOPBACK, proxy.port), timeout=PATIENCE_SEC)


def _is_silent(client: socket.socket) -> bool:
    client.settimeout(SILENCE_SEC)
    try:
        client.recv(10)
    except TimeoutError:
        return True
    else:
        return False
    finally:
        client.settimeout(PATIENCE_SEC)


@pytest.mark.parametrize("wire", [Wire.PASS, Wire.LATENCY])
def test_bytes_arrive(proxy: Proxy, wire: Wire) -> None:
    proxy.set(wire)
    with _connect(proxy) as client:
        client.sendall(b"hello")
        assert client.recv(10) == b"hello"


def test_a_reset_ends_open_connections_and_refuses_new_ones_until_it_is_over(proxy: Proxy) -> None:
    with _connect(proxy) as client:
        client.sendall(b"hello")
        client.recv(10)
        proxy.set(Wire.RESET)
        with pytest.raises(ConnectionResetError):
            client.recv(10)
    with pytest.raises(ConnectionResetError), _connect(proxy) as refused:
        refused.recv(10)
    proxy.set(Wire.PASS)
    with _connect(proxy) as client:
        client.sendall(b"again")
        assert client.recv(10) == b"again"


def test_a_black_hole_swallows_until_it_closes_and_then_everything_arrives(proxy: Proxy) -> None:
    with _connect(proxy) as old:
        old.sendall(b"1")
        assert old.recv(1) == b"1"
        proxy.set(Wire.BLACK_HOLE)
        old.sendall(b"2")
        assert _is_silent(old)
        with _connect(proxy) as new:
            new.sendall(b"3")
            assert _is_silent(new)
            proxy.set(Wire.PASS)
            assert old.recv(1) == b"2"
            assert new.recv(1) == b"3"


def test_a_half_open_connection_is_silent_while_new_ones_work_and_is_reset_in_the_end(
    proxy: Proxy,
) -> None:
    with _connect(proxy) as old:
        old.sendall(b"1")
        assert old.recv(1) == b"1"
        proxy.set(Wire.HALF_OPEN)
        old.sendall(b"2")
        assert _is_silent(old)
        with _connect(proxy) as new:
            new.sendall(b"3")
            assert new.recv(1) == b"3"
            proxy.set(Wire.PASS)
            with pytest.raises(ConnectionResetError):
                old.recv(1)
            new.sendall(b"4")
            assert new.recv(1) == b"4"


def test_a_server_that_is_away_ends_the_connection() -> None:
    listener = listen()
    where = (LOOPBACK, port_of(listener))
    listener.close()
    with (
        closing(Proxy(lambda: where)) as proxy,
        pytest.raises(ConnectionResetError),
        _connect(proxy) as client,
    ):
        client.recv(10)
