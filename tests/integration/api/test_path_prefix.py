"""The API below a path of another address, behind a small proxy."""

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest

from tests.conditions import PATIENCE_SEC
from tests.integration.api.published import CHECKS, Published, api_for

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "host"}


class Proxy(ThreadingHTTPServer):
    """A proxy that publishes a server below a prefix.

    Attributes:
        target: ``HOST:PORT`` of the server.
        removed: The prefix that it takes off a path.
    """

    daemon_threads = True
    target = ""
    removed = ""


class _Passing(BaseHTTPRequestHandler):
    server: Proxy

    def do_GET(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
        headers |= {"X-Forwarded-For": self.client_address[0], "X-Forwarded-Proto": "http"}
        connection = http.client.HTTPConnection(self.server.target, timeout=PATIENCE_SEC)
        path = self.path.removeprefix(self.server.removed)
        connection.request(self.command, path, sent or None, headers)
        answer = connection.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        connection.close()

    do_POST = do_PUT = do_GET  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None: ...


@contextmanager
def published(
    prefix: str, environment: Mapping[str, str], log: Path, *, removes: bool
) -> Iterator[Published]:
    with Proxy(("127.0.0.1", 0), _Passing) as proxy:
        thread = Thread(target=proxy.serve_forever, args=[0.01])
        thread.start()
        try:
            url = f"http://127.0.0.1:{proxy.server_port}{prefix}"
            with api_for(url, environment, log) as own:
                proxy.target, proxy.removed = urlsplit(own).netloc, prefix if removes else ""
                yield Published(url)
        finally:
            proxy.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("prefix", "removes"),
    [
        ("", True),
        *(("/video", True), ("/video", False)),
        *(("/api", True), ("/api", False)),
        ("/a/b%20c", True),
    ],
)
def test_everything_is_found_below_the_path_of_the_public_address(
    environment: Mapping[str, str], tmp_path: Path, prefix: str, *, removes: bool
) -> None:
    with published(prefix, environment, tmp_path / "log", removes=removes) as api:
        for check in CHECKS:
            check(api)
