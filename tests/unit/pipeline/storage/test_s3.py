import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from pipeline.storage.base import KeyRefused
from pipeline.storage.multipart import Multipart
from pipeline.storage.s3 import S3Storage
from pipeline.storage.s3_client import S3Trouble
from pipeline.storage.urls import Credentials, S3Place

NOWHERE = S3Place("bucket", "a/folder/", "http://127.0.0.1:9", None)
CREDENTIALS = Credentials("key-id", "hunter2")


@pytest.fixture(scope="module")
def away() -> S3Storage:
    """A service that does not answer."""
    return S3Storage(NOWHERE, CREDENTIALS)


def test_a_service_that_is_away_is_trouble_of_the_medium(away: S3Storage) -> None:
    with pytest.raises(S3Trouble, match="S3 HeadObject: EndpointConnectionError") as trouble:
        away.stat("a")
    assert isinstance(trouble.value, OSError)


def test_no_signature_is_logged_and_no_secret_shown(
    away: S3Storage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    signed = away.presign_part(Multipart("a", "id"), 1, size_bytes=1, md5=None, expires_sec=60)
    assert signed is not None
    (signature,) = parse_qs(urlsplit(signed.url).query)["X-Amz-Signature"]

    assert signature not in caplog.text
    assert "hunter2" not in caplog.text + signed.url + repr(away)


def test_a_key_has_its_length_with_the_prefix(away: S3Storage) -> None:
    with pytest.raises(KeyRefused, match="prefix"):
        away.stat("/".join(["a" * 100] * 10) + "/" + "b" * 10)


class Redirector(ThreadingHTTPServer):
    """A service that sends every client to another address."""

    daemon_threads = True

    def __init__(self, status: int, location: str) -> None:
        self.status, self.location = status, location
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Redirects)


class _Redirects(BaseHTTPRequestHandler):
    server: Redirector

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(self.server.status)
        self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815 # the name is http.server's

    def log_message(self, *_: object) -> None:
        """Nothing is said of a request."""


@contextmanager
def redirecting(status: int, location: str) -> Iterator[Redirector]:
    with Redirector(status, location) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_of_the_service_is_not_followed(status: int) -> None:
    with redirecting(200, "") as inside:
        target = f"http://127.0.0.1:{inside.server_port}/secret"
        with redirecting(status, target) as service:
            address = f"http://127.0.0.1:{service.server_port}"
            storage = S3Storage(S3Place("bucket", "", address, None), CREDENTIALS)
            with pytest.raises(S3Trouble):
                storage.stat("a")
            with pytest.raises(S3Trouble):
                b"".join(storage.read("a"))
            assert service.asked
        assert inside.asked == []
