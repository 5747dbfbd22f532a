"""Requests that break off or break HTTP's rules, sent over a socket to every route with a body."""

import json
import re
import socket
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.integration.api.conftest import Client, token
from tests.integration.api.operator import Operator
from tests.integration.api.test_serving import gunicorn

WITHOUT_BODY = frozenset({"/api/stream-tickets"})
"""Routes of a method that may have a body and of no named thing, which read none."""

ARGUMENT = re.compile(r"<(?:\w+:)?(?P<name>\w+)>")
CHUNKED = "Transfer-Encoding: chunked\r\n"
FINE = b'{"post_id": "x"}'
Sent = tuple[str, bytes]


def _sized(body: bytes, more: str = "") -> Sent:
    return f"Content-Length: {len(body)}\r\n{more}", body


FRAMING: Mapping[str, Sent] = {
    "chunk breaks off": (CHUNKED, b'ff\r\n{"post'),
    "chunks break off between two": (CHUNKED, b"2\r\n{}\r\n"),
    "size breaks off": (CHUNKED, b"f"),
    "nothing at all": (CHUNKED, b""),
    "size is no number": (CHUNKED, b"zz\r\n{}\r\n0\r\n\r\n"),
    "size is negative": (CHUNKED, b"-2\r\n{}\r\n0\r\n\r\n"),
    "size is empty": (CHUNKED, b"\r\n{}\r\n0\r\n\r\n"),
    "size is enormous": (CHUNKED, b"f" * 64 + b"\r\n{}"),
    "size without an end": (CHUNKED, b"1" * 100_000),
    "chunk without an end": (CHUNKED, b"2\r\n{}xx0\r\n\r\n"),
    "extension that is none": (CHUNKED, b"2;\x01=\x02\r\n{}\r\n0\r\n\r\n"),
    "trailer that is none": (CHUNKED, b"2\r\n{}\r\n0\r\nno header\n\r\n"),
    "trailer breaks off": (CHUNKED, b"2\r\n{}\r\n0\r\nX: y"),
    "length is too long": ("Content-Length: 1000\r\n", FINE),
    "length is no number": ("Content-Length: x\r\n", FINE),
    "length is negative": ("Content-Length: -1\r\n", FINE),
    "two lengths": ("Content-Length: 2\r\nContent-Length: 16\r\n", FINE),
    "length and chunks": (f"Content-Length: 16\r\n{CHUNKED}", b"2\r\n{}\r\n0\r\n\r\n"),
    "another coding": ("Transfer-Encoding: gzip, chunked\r\n", b"2\r\n{}\r\n0\r\n\r\n"),
    "unknown coding": ("Transfer-Encoding: x\r\n", FINE),
}
UNKNOWN = frozenset({"unknown coding"})
"""Answered with 501 by the server, as RFC 9112, 6.1, wants it."""
CONTENT: Mapping[str, Sent] = {
    "no body": _sized(b""),
    "UTF-16": _sized(json.dumps({"post_id": "x"}).encode("utf-16")),
    "broken UTF-8": _sized(b'{"post_id": "\xff"}'),
    "a mark of the order of bytes": _sized(b"\xef\xbb\xbf" + FINE),
    "half a pair": _sized(b'{"post_id": "\\ud800"}'),
    "NUL": _sized(b'{"post_id": "\\u0000"}'),
    "nested": _sized(b"[" * 60_000),
    "no object": _sized(b"7"),
    "compressed": _sized(zlib.compress(FINE), "Content-Encoding: deflate\r\n"),
}
TYPES = (
    *("application/json", "application/json; charset=x", "multipart/form-data; boundary=b"),
    *("multipart/form-data", "application/x-www-form-urlencoded; charset=utf-16", "\xff"),
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def served(api: Client, environment: Mapping[str, str], log: Path) -> Iterator[str]:
    with gunicorn(dict(environment), log) as url:
        yield url


def targets(api: Client) -> Iterator[tuple[str, str]]:
    """Method and path of every route that a client may send a body to."""
    values = {"name": "selfhosted", "provider": "selfhosted", "number": "1"}
    for rule in api.app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"}):
            if rule.rule not in WITHOUT_BODY:
                named = ARGUMENT.sub(lambda a: values.get(a["name"], str(uuid4())), rule.rule)
                yield method, named


def status_of(url: str, head: str, body: bytes) -> int | None:
    """Send a request, close our side, and return the status of the answer; None without one."""
    at = urlsplit(url)
    with closing(socket.create_connection((at.hostname or "", at.port or 0), timeout=60)) as peer:
        with suppress(OSError):
            peer.sendall(head.encode("latin-1") + b"\r\n" + body)
            peer.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError), peer.makefile("rb") as answer:
            line = answer.readline().split()
            return int(line[1]) if line else None
    return None


def test_every_malformed_body_is_the_clients_error_at_every_route(
    api: Client, served: str, log: Path
) -> None:
    operator = Operator(api)
    operator.sign_in(token("ops", role="service_role"))
    cookies = "; ".join(f"{c.name}={c.value}" for c in operator.http.cookies)
    wanted = {"post_id": str(uuid4()), "filename": "a.mp4", "size_bytes": 9}
    ticket = api.post("/api/uploads", wanted | {"mime_type": "video/mp4"}).json()
    upload = f"/api/uploads/{ticket['upload_id']}"
    lines = "".join(
        f"{name}: {value}\r\n"
        for name, value in {
            "Host": "api",
            "Connection": "close",
            "Authorization": f"Bearer {token('ops', role='service_role')}",
            "Cookie": cookies,
            **ticket["headers"],
        }.items()
    )
    found = list(targets(api))
    assert len(found) >= 20
    routes = [*found, ("PUT", f"{upload}/content"), ("PUT", f"{upload}/parts/1")]
    odd = []
    for method, path in routes:
        for type_ in TYPES[:1] if path.startswith("/api") else TYPES:
            kinds = FRAMING if path.startswith(upload) else {**FRAMING, **CONTENT}
            for kind, (framing, body) in kinds.items():
                head = f"{method} {path} HTTP/1.1\r\n{lines}Content-Type: {type_}\r\n{framing}"
                status = status_of(served, head, body)
                if status is None or (not 400 <= status < 500 and kind not in UNKNOWN):
                    odd.append((method, path, type_, kind, status))
    assert odd == [], Counter((kind, status) for *_, kind, status in odd)
    assert "Traceback" not in log.read_text()
