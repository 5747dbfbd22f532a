"""The requests of the client, as a server receives them."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple
from uuid import UUID

import pytest

from cli.api_requests import ApiProblem
from cli.client import ApiClient

POST = UUID(int=7)
TICKET = (
    '{{"upload_id": "u", "method": "PUT", "url": "{url}/bucket/key",'
    ' "headers": {{"X-Ticket": "yes"}}}}'
)


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Wire(BaseHTTPRequestHandler):
    """A server that records every request, gives tickets for uploads to itself, and redirects."""

    seen: list[Request]

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append(Request(self.command, self.path, dict(self.headers), body))
        if self.path.endswith(str(POST)):
            self.send_response(307)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        is_ticket = self.path == "/api/uploads"
        here = f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined] # a TCP server's
        self.wfile.write(TICKET.format(url=here).encode() if is_ticket else b"{}")

    do_GET = do_PUT = do_POST = _answer  # noqa: N815 - the names http.server looks for

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def wire() -> Iterator[str]:
    Wire.seen = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Wire) as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_content_goes_with_the_tickets_headers_and_without_our_token(
    wire: str, tmp_path: Path
) -> None:
    file = tmp_path / "holiday.mp4"
    file.write_bytes(b"x" * 600_000)
    counted: list[int] = []

    with ApiClient(wire, "secret") as client:
        assert client.upload(POST, file, on_bytes=counted.append) == "u"

    ask, put, done = Wire.seen
    assert ask.headers["Authorization"] == done.headers["Authorization"] == "Bearer secret"
    assert b'"mime_type": "video/mp4"' in ask.body
    assert (put.method, put.path, len(put.body)) == ("PUT", "/bucket/key", 600_000)
    assert put.headers["X-Ticket"] == "yes"
    assert put.headers["Content-Length"] == "600000"
    assert "Authorization" not in put.headers
    assert sum(counted) == 600_000
    assert len(counted) > 2


def test_a_netrc_does_not_replace_the_token(
    wire: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password other\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    with ApiClient(wire, "secret") as client:
        client.retry(POST)

    assert Wire.seen[0].headers["Authorization"] == "Bearer secret"


def test_a_redirect_is_not_followed_with_our_token(wire: str) -> None:
    with ApiClient(wire, "secret") as client, pytest.raises(ApiProblem) as refused:
        client.asset(POST)

    assert refused.value.code == "not_our_api"
    assert len(Wire.seen) == 1
