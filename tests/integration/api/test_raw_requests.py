"""Bytes that are hardly a request, sent to every route by every method over a socket."""

import random
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from tests.integration.api.conftest import Client, token
from tests.integration.api.operator import Operator
from tests.integration.api.test_malformed_requests import ARGUMENT
from tests.integration.api.test_serving import gunicorn

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW")
VALUES = {"name": "selfhosted", "provider": "selfhosted", "number": "1", "token": "public"}
MUTATIONS = 6
"""Mutated requests of each route and method."""

HEADERS: Mapping[str, bytes] = {
    "huge": b"X-Huge: " + b"x" * 8000 + b"\r\n",
    "too huge": b"X-Huge: " + b"x" * 60_000 + b"\r\n",
    "many": b"X-Many: y\r\n" * 150,
    "NUL": b"X-Nul: a\0b\r\n",
    "no colon": b"nothing\r\n",
    "no name": b": nothing\r\n",
    "space before the colon": b"X-Space : y\r\n",
    "folded": b"X-Folded: a\r\n b\r\n",
    "bare line feed": b"X-Bare: a\nX-Other: b\r\n",
    "bytes above ASCII": b"X-Bytes: \xff\xfe\xc3\x28\r\n",
    "authorization of bytes": b"Authorization: Bearer \xff\xfe\r\n",
    "authorization without an end": b"Authorization: Bearer " + b"e" * 7000 + b"\r\n",
    "key of bytes": b"Idempotency-Key: \xff\r\n",
    "cookie of bytes": b"Cookie: \xff=\xfe; =; a\r\n",
    "range": b"Range: bytes=99999999999999999999-, 1-0, -\r\nIf-Range: \xff\r\n",
    "conditions": b'If-None-Match: "\r\nIf-Modified-Since: yesterday\r\n',
    "languages": b"Accept: ;;q=x,\xff\r\nAccept-Encoding: gzip;q=nan\r\nAccept-Language: ;\r\n",
    "resumed": b"Last-Event-ID: \xff\xfe" + b"A" * 3000 + b"\r\n",
    "digests": b"Content-Digest: sha-256=:x:\r\nContent-MD5: \xff\r\n",
    "host of bytes": b"Host: \xff:99999999999\r\n",
    "forwarded": b"X-Forwarded-For: \xff, x\r\nX-Forwarded-Proto: y\r\nForwarded: for=;\r\n",
    "origin": b"Origin: \xff\r\nAccess-Control-Request-Method: \xff\r\n",
    "upgrade": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n",
}
SUFFIXES: Mapping[str, bytes] = {
    "NUL": b"%00",
    "bytes that are no UTF-8": b"%ff%fe",
    "raw bytes": b"\xff\xfe",
    "up": b"/../../etc/passwd",
    "encoded up": b"/%2e%2e/%2e%2e/",
    "query of bytes": b"?post_ids=%ff&cursor=%00&limit=%ff&after=-1&status=%ff&q=%00&ticket=%ff",
    "query without an end": b"?" + b"a=b&" * 900,
    "query of numbers": b"?limit=" + b"9" * 400 + b"&after=" + b"9" * 400 + b"&before=1e400",
    "query named twice": b"?limit=1&limit=2&status=failed&status=queued&cursor=AAAA&page=x",
    "cursor": b"?status=failed&cursor=//8=&before=%F0%9F&from=x&until=y&q=" + b"x" * 2000,
    "fragment": b"#x",
    "half a percent": b"%",
}


def paths(api: Client) -> Iterator[tuple[str, str]]:
    """The rule and a path of every route of the application."""
    for rule in api.app.url_map.iter_rules():
        yield rule.rule, ARGUMENT.sub(lambda a: VALUES.get(a["name"], str(uuid4())), rule.rule)


def answer_of(url: str, sent: bytes) -> tuple[int | None, bytes]:
    """Send bytes, close our side, and return status and beginning of the answer."""
    at = urlsplit(url)
    with closing(socket.create_connection((at.hostname or "", at.port or 0), timeout=60)) as peer:
        with suppress(OSError):
            peer.sendall(sent)
            peer.shutdown(socket.SHUT_WR)
        received = b""
        with suppress(ConnectionResetError):
            while len(received) < 4096 and (more := peer.recv(4096)):
                received += more
                if b"text/event-stream" in received:
                    break
    line = received.split(b"\r\n")[0].split()
    return (int(line[1]) if len(line) > 1 else None), received


def mutate(request: bytes, dice: random.Random) -> bytes:
    """Cut, repeat and overwrite spans of a request."""
    data = bytearray(request)
    for _ in range(dice.randint(1, 5)):
        at = dice.randrange(len(data) or 1)
        until = min(len(data), at + dice.randint(0, 30))
        match dice.randrange(3):
            case 0:
                del data[at:until]
            case 1:
                data[at:at] = data[at:until] * dice.randint(1, 20)
            case _:
                data[at:until] = dice.randbytes(dice.randint(0, 20))
    return bytes(data) or b"\0"


def requests_of(rule: str, path: str, common: bytes) -> Iterator[tuple[str, bytes]]:
    """Every kind of bad request of one route."""
    dice = random.Random(rule)
    where = path.encode()
    body = b'{"post_id": "' + b"x" * 20 + b'"}'
    framed = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    for method in METHODS:
        line = f"{method} ".encode() + where
        yield f"{method}", line + b" HTTP/1.1\r\n" + common + framed
        for _ in range(MUTATIONS):
            yield f"{method} mutated", mutate(line + b" HTTP/1.1\r\n" + common + framed, dice)
    for method in ("GET", "POST"):
        for kind, header in HEADERS.items():
            line = f"{method} ".encode() + where + b" HTTP/1.1\r\n"
            yield f"{method} header {kind}", line + header + common + b"\r\n"
        for kind, suffix in SUFFIXES.items():
            line = f"{method} ".encode() + where + suffix + b" HTTP/1.1\r\n"
            yield f"{method} path {kind}", line + common + b"\r\n"


def is_fine(path: str, status: int | None, received: bytes) -> bool:
    """Tell if an answer is one of the client's fault, with a code, or a success."""
    if status is None or status >= 500:
        return (path == "/readyz" and status == 503) or b"coding_unsupported" in received
    is_page = path.startswith("/ops") and b"text/html" in received
    is_to_head = received.endswith(b"\r\n\r\n")
    return status < 400 or is_page or is_to_head or b'"code"' in received


def test_no_bytes_at_any_route_are_our_error(
    api: Client, environment: Mapping[str, str], tmp_path: Path
) -> None:
    operator = Operator(api)
    operator.sign_in(token("ops", role="service_role"))
    cookies = "; ".join(f"{c.name}={c.value}" for c in operator.http.cookies)
    common = (
        "Host: api\r\nConnection: close\r\n"
        f"Authorization: Bearer {token('ops', role='service_role')}\r\nCookie: {cookies}\r\n"
    ).encode()
    log, odd, count = tmp_path / "log", [], 0
    with gunicorn(environment, log) as served:
        for rule, path in paths(api):
            for kind, sent in requests_of(rule, path, common):
                status, received = answer_of(served, sent)
                count += 1
                if not is_fine(path, status, received):
                    odd.append((rule, kind, status, received[:200]))
    assert count > 1000
    assert odd == [], Counter((kind, status) for _, kind, status, _ in odd)
    assert "Traceback" not in log.read_text()
