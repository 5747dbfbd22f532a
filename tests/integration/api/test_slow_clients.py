"""Clients that are slow on purpose, over real connections, and one that is not."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import requests

from tests.conditions import PATIENCE_SEC
from tests.integration.api.conftest import Client, World
from tests.integration.api.fixed_assets import LARGE, LARGE_BYTES, make_large_object
from tests.integration.api.test_serving import gunicorn

CLIENTS = 300
"""More than two workers have threads, and more than one address may have connections."""

WEBHOOK = b"POST /api/video-assets/webhook HTTP/1.1\r\nHost: x\r\n"
GET_LARGE = f"GET /media/public/{LARGE} HTTP/1.1\r\n".encode()
READING = b"Host: x\r\n\r\n"
DRIPPING = {
    "head": (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Unfinished: ", b"x"),
    "request line": (b"G", b"E"),
    "small body": (WEBHOOK + b"Content-Length: 4000\r\n\r\n{", b" "),
    "large body": (WEBHOOK + b"Content-Length: 400000\r\n\r\n{", b" "),
    "refused body": (WEBHOOK + b"Content-Length: 600000\r\n\r\n{", b" "),
    "body after 100 Continue": (
        WEBHOOK + b"Content-Length: 99\r\nExpect: 100-continue\r\n\r\n",
        b"{",
    ),
    "chunked body": (WEBHOOK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n"),
    "chunk size": (WEBHOOK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "chunked body with an end inside": (
        WEBHOOK + b"Transfer-Encoding: chunked\r\n\r\nfff\r\n\r\n\r\n",
        b" ",
    ),
    "trailers": (WEBHOOK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ", b"y"),
    "idle after an answer": (b"GET /healthz HTTP/1.1\r\n" + READING, b""),
    "nothing": (b"", b""),
    "unread large answer": (GET_LARGE + READING, b""),
    "unread page": (b"GET /openapi.json HTTP/1.1\r\n" + READING, b""),
    "unread answers to many requests": ((b"GET /openapi.json HTTP/1.1\r\n" + READING) * 9, b""),
    "unread streams": (
        f"GET /api/video-assets/stream?post_ids={uuid4()} HTTP/1.1\r\n".encode() + READING,
        b"",
    ),
}


@contextmanager
def dripping(url: str, begins: bytes, goes_on: bytes) -> Iterator[list[socket.socket]]:
    """Open many connections that send a byte now and then, and read nothing."""
    at = urlsplit(url)
    ending = threading.Event()
    with ExitStack() as stack:
        clients = []
        for _ in range(CLIENTS):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            client.connect((at.hostname, at.port))
            with suppress(OSError):
                client.sendall(begins)
            clients.append(client)

        def drip() -> None:
            while goes_on and not ending.wait(0.2):
                for client in clients:
                    with suppress(OSError):
                        client.send(goes_on, socket.MSG_DONTWAIT)

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            yield clients
        finally:
            ending.set()
            thread.join()


def test_of_clients_that_drip_or_do_not_read_none_keeps_an_honest_one_out(
    api: Client, world: World, environment: Mapping[str, str], tmp_path: Path
) -> None:
    make_large_object(api, world, tmp_path / "post-videos")
    log, unserved = tmp_path / "log", []
    # No patience ends within this test: the bounds that hold are those of threads.
    patient = dict.fromkeys(("KHRONIKA_CLIENT_PATIENCE_SEC", "KHRONIKA_CLIENT_HEAD_SEC"), "3600")
    with gunicorn(
        {**environment, **patient, "KHRONIKA_CALLBACK_MAX_BYTES": "500000"}, log
    ) as served:
        found = requests.head(f"{served}/media/public/{LARGE}", timeout=PATIENCE_SEC)
        assert found.headers["Content-Length"] == str(LARGE_BYTES)
        for kind, (begins, goes_on) in DRIPPING.items():
            with dripping(served, begins, goes_on):
                try:
                    answers = {
                        requests.get(f"{served}/healthz", timeout=PATIENCE_SEC).status_code
                        for _ in range(5)
                    }
                except requests.RequestException as error:
                    unserved.append((kind, type(error).__name__))
                else:
                    assert answers == {200}
    assert unserved == []
    assert "Traceback" not in log.read_text()


def answer_to_dripping(url: str, begins: bytes, goes_on: bytes) -> bytes:
    """Return the first bytes of the answer to a request that never ends."""
    at = urlsplit(url)
    with socket.create_connection((at.hostname, at.port), PATIENCE_SEC) as client:
        client.sendall(begins)
        client.settimeout(0.1)
        answer = b""
        while b'"code"' not in answer:
            with suppress(ConnectionError):
                client.sendall(goes_on)
            with suppress(TimeoutError):
                received = client.recv(65536)
                assert received, f"closed after {answer!r}"
                answer = (answer + received).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    return answer


def test_a_request_that_drips_is_ended_whatever_arrives(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    bounds = {
        "KHRONIKA_CLIENT_PATIENCE_SEC": "1",
        "KHRONIKA_CLIENT_HEAD_SEC": "1",
        "KHRONIKA_CLIENT_BYTES_PER_SEC": "1000",
        "KHRONIKA_CALLBACK_MAX_BYTES": "500000",
    }
    log = tmp_path / "log"
    with gunicorn({**environment, **bounds}, log) as served:
        answers = {
            kind: answer_to_dripping(served, begins, goes_on).split(b"\r\n")[0]
            for kind, (begins, goes_on) in DRIPPING.items()
            if goes_on and kind != "refused body"  # which is answered at once, with 413
        }
    assert {kind: line[:12] for kind, line in answers.items()} == dict.fromkeys(
        answers, b"HTTP/1.1 408"
    )
    assert "Traceback" not in log.read_text()
