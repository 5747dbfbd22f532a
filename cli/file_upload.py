"""Sends a file with an upload ticket: small files whole, large ones in parts.

A part that arrived is not sent again. A part that failed is sent again alone.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import md5
from http import HTTPStatus
from pathlib import Path
from time import sleep
from typing import IO, Any
from urllib.parse import urljoin

from cli.api_requests import (
    NOT_OURS,
    ApiProblem,
    ApiUnreachable,
    Document,
    ask,
    open_session,
    problem_of,
    send,
)

AT_ONCE = 3
"""Parts sent at the same time: enough to fill a connection with long round trips."""
TRIES = 4
PAUSE_SEC = 1.0
"""The pause before the second try; each further pause is twice as long."""
CHUNK_BYTES = 256 * 1024

OnBytes = Callable[[int], None]


class TicketedUpload:
    """An upload, addressed by its ticket. Requests carry the ticket's headers and no token.

    Attributes:
        id: The upload's id.
    """

    def __init__(self, address: str, ticket: Document) -> None:
        self.id = str(ticket["upload_id"])
        self.has_parts = bool(ticket.get("parts"))
        self._api = f"{address}/"
        self._ticket = ticket

    def ask(self, method: str, path: str = "", **options: Any) -> Document:
        """Send a request about this upload, with ``path`` below its address."""
        return self._ask(method, f"{self._api}api/uploads/{self.id}{path}", **options)

    def put_content(self, content: "FileSlice", digest: str) -> None:
        """Send the whole file in one request."""
        url = urljoin(self._api, self._ticket["url"])
        self._ask(self._ticket["method"], url, data=content, headers={"Content-MD5": digest})

    def _ask(
        self, method: str, url: str, headers: dict[str, str] | None = None, **options: Any
    ) -> Document:
        with open_session(url) as session:
            headers = self._ticket["headers"] | (headers or {})
            return ask(session, method, url, headers=headers, **options)


class FileSlice:
    """A range of a file's bytes that reports each read.

    It has a length because requests would otherwise send it chunked, which storages refuse.
    """

    def __init__(self, file: IO[bytes], start: int, length: int, on_bytes: OnBytes) -> None:
        file.seek(start)
        self._file = file
        self._length = length
        self._on_bytes = on_bytes
        self._read_bytes = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read():
            yield chunk

    def read(self, size: int = CHUNK_BYTES) -> bytes:
        """Read the next bytes; none at the end."""
        chunk = self._file.read(min(size, self._length - self._read_bytes))
        self._read_bytes += len(chunk)
        self._on_bytes(len(chunk))
        return chunk

    def take_back(self) -> None:
        """Report that the bytes read so far must be sent again."""
        self._on_bytes(-self._read_bytes)


def send_file(upload: TicketedUpload, path: Path, on_bytes: OnBytes) -> None:
    """Send the bytes of a file that have not arrived, with retries.

    Args:
        upload: The upload that the file belongs to.
        path: The file; it is streamed.
        on_bytes: Called, from several threads, with the number of bytes just read for sending; a
            negative number takes bytes back that must be sent again.
    """
    if upload.has_parts:
        _send_parts(upload, path, on_bytes)
    else:
        _retried(lambda: _send_whole(upload, path, on_bytes))


def _send_whole(upload: TicketedUpload, path: Path, on_bytes: OnBytes) -> None:
    with _slice(path, 0, path.stat().st_size, on_bytes) as (content, digest):
        upload.put_content(content, digest)


def _send_parts(upload: TicketedUpload, path: Path, on_bytes: OnBytes) -> None:
    known = upload.ask("GET")
    arrived = {part["number"] for part in known["parts"]}
    on_bytes(known["received_bytes"])

    def send_part(number: int) -> None:
        start = (number - 1) * known["part_size_bytes"]
        place = (start, min(known["part_size_bytes"], known["size_bytes"] - start))
        _retried(lambda: _send_part(upload, path, number, place, on_bytes))

    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        missing = (n for n in range(1, known["part_count"] + 1) if n not in arrived)
        for sent in [pool.submit(send_part, number) for number in missing]:
            sent.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _send_part(
    upload: TicketedUpload, path: Path, number: int, place: tuple[int, int], on_bytes: OnBytes
) -> None:
    with _slice(path, *place, on_bytes) as (content, digest):
        order = {"numbers": [number], "md5": {str(number): digest}}
        [request] = upload.ask("POST", "/parts", json=order)["parts"]
        etag = _put_part(request, content)
    upload.ask("POST", f"/parts/{number}", json={"etag": etag})


def _put_part(request: Document, content: FileSlice) -> str:
    """Send a part to the address of its request, a storage's or the API's; return its ETag."""
    url = request["url"]
    with open_session(url) as session:
        answer = send(session, request["method"], url, data=content, headers=request["headers"])
    if answer.ok:
        return answer.headers["ETag"]
    problem = problem_of(answer)
    # A storage answers 400 to a damaged or slow part, and 403 after its address has expired. The
    # next try gets a new address.
    problem.retryable |= problem.code == NOT_OURS and answer.status_code in (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.FORBIDDEN,
    )
    raise problem


@contextmanager
def _slice(
    path: Path, start: int, length: int, on_bytes: OnBytes
) -> Iterator[tuple[FileSlice, str]]:
    """Open a range of a file for one try; give the range and its MD5 in base64.

    The receiver compares the digest, as in ``Content-MD5`` (RFC 1864), and refuses damaged bytes.
    ADR 11 says why it is MD5.
    """
    digest = md5(usedforsecurity=False)
    with path.open("rb") as file:
        for chunk in FileSlice(file, start, length, lambda _: None):
            digest.update(chunk)
        content = FileSlice(file, start, length, on_bytes)
        try:
            yield content, b64encode(digest.digest()).decode()
        except Exception:
            content.take_back()
            raise


def _retried(send_once: Callable[[], None]) -> None:
    for tried in range(TRIES):
        try:
            return send_once()
        except (ApiProblem, ApiUnreachable) as error:
            if tried == TRIES - 1 or not error.retryable:
                raise
            sleep(PAUSE_SEC * 2**tried)
    return None
