"""Reader of the top-level boxes of an MP4 or MOV file (ISO/IEC 14496-12 §4.2)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.media.source_limits import MediaRefused, Refusal

Read = Callable[[int, int], bytes]
"""Reader of `length` bytes at `offset`; it returns fewer only at the end of the file."""

_HEADER_BYTES = 8
_LARGE_HEADER_BYTES = 16
_TYPE = re.compile(rb"[A-Za-z0-9 \xa9]{4}")


@dataclass(frozen=True)
class Box:
    """One box: its four-letter type, the offset of its header, and its size with the header."""

    type: str
    offset: int
    size: int

    @property
    def end(self) -> int:
        """Offset just past the box."""
        return self.offset + self.size


def walk(read: Read, size: int, *, max_boxes: int = 256) -> list[Box]:
    """List the top-level boxes of a file of `size` bytes, reading only their headers.

    Bytes that cannot be a box header end the walk: cameras and editors append padding that
    players ignore. The walk also ends after `max_boxes`; only fragmented files have so many.

    Raises:
        MediaRefused: `source_corrupt` if a box ends after the file, which was cut off.
    """
    boxes: list[Box] = []
    offset = 0
    while offset + _HEADER_BYTES <= size and len(boxes) < max_boxes:
        box = box_at(read, offset, size)
        if box is None:
            break
        if box.end > size:
            raise MediaRefused(
                Refusal.SOURCE_CORRUPT,
                f"The file is cut off: {box.end - size} bytes are missing from its end.",
            )
        boxes.append(box)
        offset = box.end
    return boxes


def walk_file(path: Path, *, max_boxes: int = 256) -> list[Box]:
    """List the top-level boxes of a local file.

    Raises:
        MediaRefused: see `walk`.
    """
    with path.open("rb") as file:

        def read(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        return walk(read, path.stat().st_size, max_boxes=max_boxes)


def is_faststart(boxes: Sequence[Box]) -> bool:
    """Return True if the index (`moov`) precedes the media data, so that play can start at once."""
    for box in boxes:
        if box.type in ("moov", "mdat"):
            return box.type == "moov"
    return False


def box_at(read: Read, offset: int, size: int) -> Box | None:
    """Read the header of a box of a file of `size` bytes; None if there is no header."""
    header = read(offset, _LARGE_HEADER_BYTES)
    kind = header[4:8]
    if len(header) < _HEADER_BYTES or not _TYPE.fullmatch(kind):
        return None
    length = int.from_bytes(header[:4])
    smallest = _HEADER_BYTES
    if length == 0:  # "to the end of the file"
        length = size - offset
    elif length == 1:  # the size follows as 64 bits
        length = int.from_bytes(header[8:16])
        smallest = _LARGE_HEADER_BYTES
    if length < smallest:
        return None
    return Box(kind.decode("latin-1"), offset, length)
