"""Send a large file in parts: what has arrived is not sent again, and a failed part is, alone."""

import os
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import IO, Any

AT_ONCE = 3
"""Parts on their way: enough to fill a line whose round trips are long."""
TRIES = 4
PAUSE_SEC = 1.0
"""Before the second try; each further one waits twice as long."""
CHUNK_BYTES = 256 * 1024

Document = dict[str, Any]


@dataclass(frozen=True)
class Wire:
    """How the sender speaks.

    Attributes:
        ask: Asks about the upload: method, path below it, body; gives the answer's document.
        put: Sends one part as its request says; gives the ETag of the answer.
        may_pass: Whether an error of the two may be gone at the next try.
    """

    ask: Callable[[str, str, Document | None], Document]
    put: Callable[[Document, "Slice"], str]
    may_pass: Callable[[Exception], bool]


class Slice:
    """A part of a file that tells how it is being read.

    It has a length, or requests would send it in chunks, which no storage takes.
    """

    def __init__(
        self, file: IO[bytes], offset: int, length: int, on_bytes: Callable[[int], None]
    ) -> None:
        file.seek(offset)
        self._file = file
        self._length = length
        self._on_bytes = on_bytes
        self.sent_bytes = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read():
            yield chunk

    def read(self, size: int = CHUNK_BYTES) -> bytes:
        """The next bytes, none at the end."""
        chunk = self._file.read(min(size, self._length - self.sent_bytes))
        self.sent_bytes += len(chunk)
        self._on_bytes(len(chunk))
        return chunk

    def take_back(self) -> None:
        """Tell that what was read has to be sent again."""
        self._on_bytes(-self.sent_bytes)


def whole(file: IO[bytes], on_bytes: Callable[[int], None]) -> Slice:
    """All of a file."""
    return Slice(file, 0, os.fstat(file.fileno()).st_size, on_bytes)


def digest_of(content: Slice) -> str:
    """What is told of content beforehand, so that whoever gets it refuses what was damaged.

    Returns:
        Its MD5 in base64, as in ``Content-MD5`` (RFC 1864); ADR 11 says why that one.
    """
    digest = md5(usedforsecurity=False)
    for chunk in content:
        digest.update(chunk)
    return b64encode(digest.digest()).decode()


def persistently(
    send: Callable[[], None],
    may_pass: Callable[[Exception], bool],
    *,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Send something, again after a while where it failed in passing."""
    for tried in range(1, TRIES + 1):
        try:
            return send()
        except Exception as error:
            if tried == TRIES or not may_pass(error):
                raise
            pause(PAUSE_SEC * 2 ** (tried - 1))
    return None


def send_parts(
    wire: Wire,
    path: Path,
    on_bytes: Callable[[int], None],
    *,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Send the parts of a file that have not arrived.

    Args:
        wire: How to speak of this upload.
        path: The file; streamed, never held whole.
        on_bytes: Called, from several threads, with how many bytes have just been read for
            sending; less than 0 where they have to be sent again.
        pause: Sleeps.
    """
    known = wire.ask("GET", "", None)
    size_bytes = known["part_size_bytes"]
    arrived = {part["number"] for part in known["parts"]}
    on_bytes(known["received_bytes"])

    def send(number: int) -> None:
        offset = (number - 1) * size_bytes
        length = min(size_bytes, known["size_bytes"] - offset)
        persistently(
            lambda: _send(wire, path, number, (offset, length), on_bytes),
            wire.may_pass,
            pause=pause,
        )

    missing = [number for number in range(1, known["part_count"] + 1) if number not in arrived]
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        for sent in [pool.submit(send, number) for number in missing]:
            sent.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _send(
    wire: Wire, path: Path, number: int, place: tuple[int, int], on_bytes: Callable[[int], None]
) -> None:
    with path.open("rb") as file:
        told = {str(number): digest_of(Slice(file, *place, lambda _: None))}
        asked = wire.ask("POST", "/parts", {"numbers": [number], "md5": told})
        content = Slice(file, *place, on_bytes)
        try:
            etag = wire.put(asked["parts"][0], content)
        except Exception:
            content.take_back()
            raise
    wire.ask("POST", f"/parts/{number}", {"etag": etag})
