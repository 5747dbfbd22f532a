"""The worker with its default bounds, as the transcoder has it, and an application of this file."""

import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from selectors import DefaultSelector
from typing import Any

import pytest
from flask import Flask, Request, request
from werkzeug.exceptions import BadRequest, RequestTimeout

from pipeline.net.bounded_worker import BoundedWorker
from pipeline.net.broken_bodies import CheckedInput
from pipeline.net.client_bounds import ClientBounds

THREADS = 4
PATIENCE_SEC = 60


class CheckedRequest(Request):
    """A request as our applications have it."""

    def __init__(self, environ: dict[str, Any], *args: Any, **options: Any) -> None:
        environ["wsgi.input"] = CheckedInput(environ["wsgi.input"], BadRequest, RequestTimeout)
        super().__init__(environ, *args, **options)


app = Flask(__name__)
app.request_class = CheckedRequest


@app.route("/", methods=["GET", "POST"])
def answer() -> bytes:
    """Answer with the body that was sent."""
    return b"<" + request.get_data() + b">"


@app.get("/large")
def large() -> bytes:
    """Answer with more than any buffer of a network holds."""
    return bytes(20_000_000)


@contextmanager
def bounded_server(log: Path) -> Iterator[int]:
    """Serve `app` by gunicorn, with the bounded worker; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening, log.open("wb") as output:
        port = listening.getsockname()[1]
        command = [
            *(sys.executable, "-m", "gunicorn", "--no-sendfile"),
            *("--worker-class", "pipeline.net.bounded_worker.BoundedWorker"),
            *(f"{__name__}:app", "--threads", str(THREADS), "--no-control-socket"),
            *("--bind", f"fd://{listening.fileno()}"),
        ]
        server = subprocess.Popen(
            command, pass_fds=[listening.fileno()], stdout=output, stderr=output
        )
        try:
            assert ask(port) == (200, b"<>")
            yield port
            server.terminate()
            assert server.wait(PATIENCE_SEC) == 0
        finally:
            server.kill()
            server.wait()


def ask(port: int, body: bytes = b"") -> tuple[int, bytes]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SEC)) as connection:
        connection.request("POST", "/", body)
        answered = connection.getresponse()
        return answered.status, answered.read()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    log = tmp_path_factory.mktemp("server") / "log"
    with bounded_server(log) as number:
        yield number
    assert "Traceback" not in log.read_text()


POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
UNFINISHED = {
    "nothing": b"",
    "head": b"GET / HTTP/1.1\r\nHost: x\r\nX: ",
    "small body": POST + b"Content-Length: 9\r\n\r\nx",
    "large body": POST + b"Content-Length: 900000\r\n\r\nx",
    "chunks": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
    "expectation": POST + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\nx",
    "idle": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "unread": b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("kind", UNFINISHED)
def test_connections_that_do_not_go_on_keep_no_thread(port: int, kind: str) -> None:
    with ExitStack() as stack:
        for _ in range(3 * THREADS):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(UNFINISHED[kind])
        assert [ask(port, b"honest") for _ in range(3)] == [(200, b"<honest>")] * 3


def exchange(port: int, *sent: bytes) -> bytes:
    """Send pieces, close our side, and return all that is answered."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SEC) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in sent:
            client.sendall(piece)
        client.shutdown(socket.SHUT_WR)
        answered = b""
        with suppress(ConnectionResetError):
            while received := client.recv(65536):
                answered += received
    return answered


def test_a_request_in_pieces_is_answered_as_one(port: int) -> None:
    whole = POST + b"Content-Length: 3\r\n\r\nabc"
    assert exchange(port, *(whole[at : at + 1] for at in range(len(whole)))).endswith(b"<abc>")


def test_requests_behind_each_other_are_all_answered(port: int) -> None:
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n"
    sized = POST + b"Content-Length: 1\r\n\r\n"
    answered = exchange(port, sized + b"a" + sized + b"b" + chunked + sized, b"d")
    assert [piece[:3] for piece in answered.split(b"\r\n\r\n")[1:]] == [
        b"<a>",
        b"<b>",
        b"<c>",
        b"<d>",
    ]


REFUSED = {
    "no request": (b"\x16\x03\x01\x02\x00\r\n\r\n", b"400", b"bad_request"),
    "half a request": (b"GET / HT", b"400", b"bad_request"),
    "another protocol": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400", b"bad_request"),
    "endless head": (b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000, b"431", b"head_too_large"),
    "long line": (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", b"414", b"address_too_long"),
    "long header": (
        b"GET / HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n",
        b"431",
        b"head_too_large",
    ),
    "many headers": (
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"431",
        b"head_too_large",
    ),
    "expectation": (POST + b"Expect: more\r\n\r\n", b"417", b"expectation_failed"),
    "NUL": (b"GET / HTTP/1.1\r\nX: \0\r\n\r\n", b"400", b"bad_request"),
    "two lengths": (
        POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"400",
        b"bad_request",
    ),
    "length and chunks": (
        POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"400",
        b"bad_request",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_request_is_refused_with_a_status_and_a_code(port: int, kind: str) -> None:
    sent, status, code = REFUSED[kind]
    answered = exchange(port, sent)
    assert answered.split(b" ")[1:2] == [status], answered
    assert b'"code": "' + code + b'"' in answered
    assert answered.count(b"HTTP/1.1") == 1


def test_connections_of_one_address_are_bounded_and_the_oldest_idle_one_is_closed(
    port: int,
) -> None:
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE_SEC))
            for _ in range(201)
        ]
        assert ask(port) == (200, b"<>")
        with suppress(ConnectionResetError):
            assert clients[0].recv(1) == b""
        clients[-1].sendall(POST + b"Content-Length: 0\r\n\r\n")
        assert clients[-1].recv(12) == b"HTTP/1.1 200"


class _Client:
    """A connection of gunicorn's, from an address."""

    def __init__(self, address: str) -> None:
        self.client = (address, 40000, 0, 0)
        self.sock, self._other = socket.socketpair()
        self.is_closed = False

    def close(self) -> None:
        self.sock.close()
        self._other.close()
        self.is_closed = True


def test_the_connections_of_an_ipv6_network_are_counted_together() -> None:
    worker = BoundedWorker.__new__(BoundedWorker)
    worker.bounds, worker.worker_connections, worker.nr_conns = ClientBounds(per_address=2), 9, 4
    worker.keepalived_conns, worker.poller = deque(), DefaultSelector()
    worker._arriving, worker._lingering, worker._running, worker._of_address = {}, {}, set(), {}
    ends = "1:2::1", "1:2::2", "1:3::1", "1:2::3"
    clients = [_Client(f"2001:db8:{end}") for end in ends]
    try:
        for client in clients:
            worker._adopt(client)
        assert [client.is_closed for client in clients] == [True, False, False, False]
    finally:
        for client in clients:
            client.close()
        worker.poller.close()
