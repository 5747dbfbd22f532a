"""Answers that a `Site` can give."""

import re
import threading
from http.server import BaseHTTPRequestHandler

from tests.unit.pipeline.net.conftest import Answer


def plain(body: bytes, status: int = 200, **headers: str) -> Answer:
    """One whole body; header names are written with underscores."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        _head(request, status, {"Content-Length": str(len(body)), **_named(headers)})
        request.wfile.write(body)

    return answer


def in_parts(body: bytes, etag: str | None = '"v1"') -> Answer:
    """A file that can be read in ranges, as object stores serve it, If-Range included."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        version = {} if etag is None else {"ETag": etag}
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
        if found is None or request.headers.get("If-Range", etag) != etag:
            _head(request, 200, {"Content-Length": str(len(body)), **version})
            request.wfile.write(body)
            return
        start, end = int(found[1]), min(int(found[2]), len(body) - 1)
        if start >= len(body):
            _head(request, 416, {"Content-Range": f"bytes */{len(body)}", "Content-Length": "0"})
            return
        part = body[start : end + 1]
        length = {"Content-Length": str(len(part))}
        where = {"Content-Range": f"bytes {start}-{end}/{len(body)}"}
        _head(request, 206, {**length, **where, **version})
        request.wfile.write(part)

    return answer


def redirect(location: str, status: int = 302) -> Answer:
    return plain(b"", status, Location=location)


def without_length(body: bytes) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        _head(request, 200, {"Connection": "close"})
        request.wfile.write(body)
        request.close_connection = True

    return answer


def cut_short(body: bytes, promised: int) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        _head(request, 200, {"Content-Length": str(promised)})
        request.wfile.write(body)
        request.close_connection = True

    return answer


def trickle_of_headers(request: BaseHTTPRequestHandler) -> None:
    # One header without end: of too many headers a client has its own idea.
    request.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    _trickle(request, b"y")


def trickle_of_body(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    _trickle(request, b"x")


def trickle_of_promised_body(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
    _trickle(request, b"x")


def _trickle(request: BaseHTTPRequestHandler, piece: bytes) -> None:
    pause = threading.Event()
    try:
        while not pause.wait(0.05):
            request.wfile.write(piece)
    except OSError:
        request.close_connection = True


def _head(request: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.end_headers()


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
