"""Bytes of a body as they arrive: noted, and written to a file."""

from collections.abc import Callable, Iterator
from typing import BinaryIO


class Arrival:
    """A local file that a download fills."""

    def __init__(self, file: BinaryIO, max_bytes: int, on_bytes: Callable[[int], None]) -> None:
        self.max_bytes = max_bytes
        self.written_bytes = 0
        self._file = file
        self._on_bytes = on_bytes

    def take(self, pieces: Iterator[bytes]) -> None:
        """Write all that arrives."""
        for piece in pieces:
            self._file.write(piece)
            self.written_bytes += len(piece)
            self._on_bytes(self.written_bytes)


def noted(pieces: Iterator[bytes], on_bytes: Callable[[int], None] | None) -> Iterator[bytes]:
    """Call a function with the size of each piece."""
    for piece in pieces:
        (on_bytes or ignore)(len(piece))
        yield piece


def ignore(_arrived: int) -> None:
    """Do nothing about bytes."""
