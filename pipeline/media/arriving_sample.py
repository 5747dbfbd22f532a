"""Samples of a file whose server sends it in one piece only, from its start."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline.media import sample
from pipeline.media.boxes import Box, box_at
from pipeline.media.containers import HEAD_BYTES, container_of
from pipeline.media.sample import SampleBudget

_MAX_BOXES = 100_000  # as many as a probe reads
_ENDLESS = 1 << 62  # the size of a file whose server does not say it


def sample_arriving(pieces: Iterator[bytes], size_bytes: int | None, into: Path) -> None:
    """Write a sparse file that `probe` measures like the whole one, from what arrives.

    Whatever the file's size, the parts that are written are those of `sample_source`, so that a
    source takes the disk no more than 64 MiB. The rest is read past: an index may follow it, and
    the end tells the length. An MP4 or MOV with its index in front is measured by the index and its
    first frames; nothing more of it is read.

    Args:
        pieces: The content from its start; it is not read to its end if less will do.
        size_bytes: Size of the whole file; None if its server does not say.
        into: The file to write; replaced if it exists.

    Raises:
        MediaRefused: `source_too_large` for an index over 64 MiB, and the codes of `container_of`.
        OSError: the local file cannot be written. Exceptions of `pieces` pass through.
    """
    with into.open("wb") as file:
        arriving = _Arriving(file, pieces)
        container = container_of(arriving.peek(HEAD_BYTES))
        if not container.has_boxes:
            arriving.keep(sample.HEAD_BYTES)
            arriving.keep_end(sample.TAIL_BYTES)
        elif _is_measurable(arriving, size_bytes):
            file.truncate(size_bytes)
            return
        else:
            arriving.pass_over(_ENDLESS)
        file.truncate(arriving.offset)


class _Arriving:
    """The rest of a file that arrives: it is kept, or passed over.

    Attributes:
        offset: The offset of the first byte that is neither.
    """

    def __init__(self, file: BinaryIO, pieces: Iterator[bytes]) -> None:
        self.offset = 0
        self._file = file
        self._pieces = pieces
        self._ahead = bytearray()

    def peek(self, length: int) -> bytes:
        """Return the next bytes, fewer only at the end of the file."""
        while len(self._ahead) < length and self._arrive():
            pass
        return bytes(self._ahead[:length])

    def keep(self, length: int) -> None:
        """Write the next bytes."""
        for chunk in self._chunks(length):
            self._file.write(chunk)

    def pass_over(self, length: int) -> None:
        """Leave a hole in place of the next bytes."""
        for _ in self._chunks(length):
            pass
        self._file.seek(self.offset)

    def keep_end(self, length: int) -> None:
        """Write the last bytes of the file, and leave a hole before them."""
        end = bytearray()
        for chunk in self._chunks(_ENDLESS):
            end += chunk
            del end[:-length]
        self._file.seek(self.offset - len(end))
        self._file.write(end)

    def _chunks(self, length: int) -> Iterator[bytes]:
        while length and (self._ahead or self._arrive()):
            chunk = bytes(self._ahead[:length])
            del self._ahead[:length]
            self.offset += len(chunk)
            length -= len(chunk)
            yield chunk

    def _arrive(self) -> bool:
        piece = next(self._pieces, b"")
        self._ahead += piece
        return bool(piece)


def _is_measurable(arriving: _Arriving, size_bytes: int | None) -> bool:
    """Keep the wanted part of each box; return True as soon as the rest would tell no more.

    That is so once the index and the first frames have arrived, in this order. A fragmented file
    tells its length in its fragments, so its index is not enough. A file of which a box is cut off
    needs no more either: it is refused.
    """
    budget, types = SampleBudget(), set[str]()
    for _ in range(_MAX_BOXES):
        box = _next_box(arriving, size_bytes)
        if box is None:
            return False
        if size_bytes and box.end > size_bytes:
            return True
        wanted = budget.wanted_bytes(box)
        arriving.keep(wanted)
        is_indexed = "moov" in types and not types & {"moof", "sidx"}
        if box.type == "mdat" and is_indexed and size_bytes:
            return True
        arriving.pass_over(box.size - wanted)
        types.add(box.type)
    return False


def _next_box(arriving: _Arriving, size_bytes: int | None) -> Box | None:
    return box_at(lambda _, length: arriving.peek(length), arriving.offset, size_bytes or _ENDLESS)
