"""S3 servers of our own, for tests: two programs, so that no quirk of one becomes our truth."""

import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import md5
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from itertools import count
from pathlib import Path
from urllib.parse import quote, urlsplit

import localbucket
from moto.server import ThreadedMotoServer

from pipeline.storage.s3_client import connect
from pipeline.storage.urls import Credentials, bucket_of

CREDENTIALS = Credentials("test-key-id", "test-secret")

_numbers = count(1)


@dataclass(frozen=True)
class S3Server:
    """A server of S3's protocol on loopback."""

    endpoint: str

    def make_bucket(self, prefix: str = "") -> str:
        """Make a bucket nobody has used and give its storage URL."""
        url = f"s3://bucket-{next(_numbers)}/{prefix}?endpoint={quote(self.endpoint, safe='')}"
        place = bucket_of(urlsplit(url))
        connect(place, CREDENTIALS).create_bucket(Bucket=place.bucket)
        return url


@contextmanager
def moto_server() -> Iterator[S3Server]:
    """Nearly the whole of S3."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield S3Server(f"http://{host}:{port}")
    finally:
        server.stop()


class _Quiet(localbucket.S3Handler):  # type: ignore[misc] # it has no types
    refusing = threading.Event()

    def log_message(self, *_: object) -> None:
        pass

    def parse_request(self) -> bool:
        """Answer 503 in place of the program while the service refuses."""
        is_read: bool = super().parse_request()
        if is_read and self.refusing.is_set():
            self.close_connection = True  # the body is not read
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
            return False
        return is_read

    def _read_body(self) -> bytes:
        """As S3 does it; the program itself checks no digest."""
        body: bytes = super()._read_body()
        told = self.headers.get("Content-MD5")
        if told is not None and b64decode(told) != md5(body).digest():
            raise localbucket.S3Error(
                HTTPStatus.BAD_REQUEST,
                "BadDigest",
                "The Content-MD5 you specified did not match what we received.",
            )
        return body


@contextmanager
def localbucket_server(folder: Path, refusing: threading.Event | None = None) -> Iterator[S3Server]:
    """The least of S3: no lists of parts or of uploads, no removal of many objects at once.

    It answers browsers' preflights, and refuses what does not match its digest.

    Args:
        refusing: While it is set, every request is answered with 503.
    """
    given = {"data_root": folder, "refusing": refusing or threading.Event()}
    handler = type("Handler", (_Quiet,), given)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    try:
        yield S3Server(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
