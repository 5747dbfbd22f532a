"""Samples of a file whose server sends it in one piece only, from its start."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline.media.boxes import box_at
from pipeline.media.containers import HEAD_BYTES, container_of
from pipeline.media.sample import MAX_BOXES, MEDIA_HEAD_BYTES


def sample_arriving(pieces: Iterator[bytes], size_bytes: int | None, into: Path) -> None:
    """Write what arrives, until `probe` can measure it like the whole file.

    An MP4 or MOV with its index in front is measured by the index and its first frames; nothing
    more of it is read, and the file is made as long as the whole one. Of any other file all is
    written, because the end tells its length.

    Args:
        pieces: The content from its start; it is not read to its end if less will do.
        size_bytes: Size of the whole file; None if its server does not say.
        into: The file to write; replaced if it exists.

    Raises:
        MediaRefused: the codes of `container_of`.
        OSError: the local file cannot be written. Exceptions of `pieces` pass through.
    """
    with into.open("w+b") as file:
        arriving = _Arriving(file, pieces)
        container = container_of(arriving.read(0, HEAD_BYTES))
        if container.has_boxes and size_bytes and _is_index_in_front(arriving, size_bytes):
            file.truncate(size_bytes)
        else:
            arriving.take_rest()


class _Arriving:
    """The part of a file that has arrived; a read takes more of it as far as needed."""

    def __init__(self, file: BinaryIO, pieces: Iterator[bytes]) -> None:
        self._file = file
        self._pieces = pieces
        self._arrived_bytes = 0

    def read(self, offset: int, length: int) -> bytes:
        while self._arrived_bytes < offset + length and self._take():
            pass
        self._file.seek(offset)
        return self._file.read(length)

    def take_rest(self) -> None:
        while self._take():
            pass

    def _take(self) -> bool:
        piece = next(self._pieces, b"")
        self._file.seek(self._arrived_bytes)
        self._file.write(piece)
        self._arrived_bytes += len(piece)
        return bool(piece)


def _is_index_in_front(arriving: _Arriving, size_bytes: int) -> bool:
    """Return true once the index and the first frames have arrived, in this order.

    A fragmented file tells its length in its fragments, so its index is not enough.
    """
    offset, has_index = 0, False
    for _ in range(MAX_BOXES):
        box = box_at(arriving.read, offset, size_bytes)
        if box is None or box.end > size_bytes or box.type in ("moof", "sidx"):
            return False
        if box.type == "mdat":
            arriving.read(offset, min(box.size, MEDIA_HEAD_BYTES) if has_index else 0)
            return has_index
        has_index = has_index or box.type == "moov"
        offset = box.end
    return False
