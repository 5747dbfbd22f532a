"""Copies of the parts of a large remote file that ffprobe reads."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline.media.boxes import Box, Read, box_at, walk
from pipeline.media.containers import HEAD_BYTES as MAGIC_BYTES
from pipeline.media.containers import container_of
from pipeline.media.source_limits import MediaRefused, Refusal

MIB = 1024 * 1024
MAX_SAMPLE_BYTES = 64 * MIB  # the index of 12 h of video takes about 20 MiB
MAX_BOXES = 256
MEDIA_HEAD_BYTES = 2 * MIB  # the first frames, from which ffprobe learns the pixel format
_MEDIA_HEADS_BYTES = 8 * MIB  # of all media data: each fragment of a fragmented file has some
HEAD_BYTES = 8 * MIB  # over ffmpeg's default probesize of 5 MB
TAIL_BYTES = 2 * MIB  # last timestamps of MPEG-TS and PS, cues of Matroska, index of AVI
_LAST_FRAGMENTS_BYTES = 32 * MIB  # in which the last fragment begins: 25 s at 10 Mbit/s
_BOX_HEADER_BYTES = 16
_SLICE_BYTES = 4 * MIB  # one read; limits the memory of the caller's transport
_PADDING = ("free", "skip", "wide")


def sample_source(read: Read, size_bytes: int, into: Path) -> None:
    """Write a sparse file that `probe` measures like the whole one.

    The sparse file has the full size and holds only the parts that ffprobe reads. MP4 and MOV:
    every top-level box, of the media data only the first 2 MiB. Other containers: the first 8 and
    the last 2 MiB. A file with more than 256 boxes is fragmented: its first boxes and its last
    fragments are copied, and a box of padding takes the place of those between.

    Args:
        read: reads the file at (offset, length), at most 4 MiB a call.
        size_bytes: size of the whole file.
        into: the file to write; replaced if it exists.

    Raises:
        MediaRefused: `source_corrupt` for an MP4 that is cut off or has no index,
            `source_too_large` for an index over 64 MiB, and the codes of `container_of`.
        OSError: the local file cannot be written. Exceptions of `read` pass through.
    """
    head = read(0, min(MEDIA_HEAD_BYTES, size_bytes))
    container = container_of(head[:MAGIC_BYTES])
    with into.open("wb") as file:
        file.truncate(size_bytes)
        _put(file, 0, head)
        if container.has_boxes:
            _copy_boxes(_cached(read, head), size_bytes, file)
        else:
            _copy_ends(read, size_bytes, file)


class SampleBudget:
    """The bytes that a sample of boxes may still hold."""

    def __init__(self) -> None:
        self._left = MAX_SAMPLE_BYTES
        self._media_left = _MEDIA_HEADS_BYTES

    def wanted_bytes(self, box: Box) -> int:
        """Return the bytes of the next box, from its header on, that a sample needs.

        Raises:
            MediaRefused: `source_too_large`.
        """
        wanted = box.size
        if box.type in _PADDING:
            wanted = min(box.size, _BOX_HEADER_BYTES)
        elif box.type == "mdat":
            wanted = min(box.size, MEDIA_HEAD_BYTES, max(self._media_left, _BOX_HEADER_BYTES))
            self._media_left -= wanted
        self._left -= wanted
        if self._left < 0:
            raise MediaRefused(Refusal.SOURCE_TOO_LARGE, "The file's index is too large.")
        return wanted


def _copy_boxes(read: Read, size_bytes: int, file: BinaryIO) -> None:
    boxes = walk(read, size_bytes, max_boxes=MAX_BOXES)
    if not any(box.type == "moov" for box in boxes):
        raise MediaRefused(Refusal.SOURCE_CORRUPT, "The file has no index: it was cut off.")
    if len(boxes) == MAX_BOXES:
        fragments = _last_fragments(read, boxes[-1].end, size_bytes)
        if fragments:
            _put(file, boxes[-1].end, _padding(fragments[0].offset - boxes[-1].end))
        boxes += fragments
    budget = SampleBudget()
    wanted = [(box.offset, budget.wanted_bytes(box)) for box in boxes]
    for offset, length in wanted:
        _copy(read, offset, length, file)


def _padding(size: int) -> bytes:
    """Return the header of a box that demuxers skip; empty for no size."""
    return (1).to_bytes(4) + b"free" + size.to_bytes(8) if size else b""


def _last_fragments(read: Read, begin: int, size_bytes: int) -> list[Box]:
    """Find the last fragments of a file, without a walk through all; empty if there are none.

    A fragment begins with a `moof` box, and boxes fill the file from there to its end.
    """
    least = max(begin, size_bytes - _LAST_FRAGMENTS_BYTES)
    end, after = size_bytes, b""
    while end > least:
        start = max(least, end - _SLICE_BYTES)
        content = read(start, end - start)
        for at in _places(content + after[:4], b"moof"):
            offset = start + at - 4
            if offset == begin or offset >= begin + _BOX_HEADER_BYTES:
                boxes = _chain(read, offset, size_bytes)
                if boxes:
                    return boxes
        end, after = start, content
    return []


def _places(content: bytes, word: bytes) -> Iterator[int]:
    at = content.find(word)
    while at >= 0:
        yield at
        at = content.find(word, at + 1)


def _chain(read: Read, offset: int, size_bytes: int) -> list[Box]:
    """List the boxes of fragments to the end of the file; empty if there is no fragment here.

    As in a walk, bytes that are no box may follow them.
    """
    boxes: list[Box] = []
    while offset < size_bytes and len(boxes) < MAX_BOXES:
        box = box_at(read, offset, size_bytes)
        if box is None:
            break
        if box.end > size_bytes:
            if not boxes or (len(boxes) == 1 and box.type != "mdat"):
                return []
            raise MediaRefused(Refusal.SOURCE_CORRUPT, "The file is cut off in a fragment.")
        boxes.append(box)
        offset = box.end
    return boxes if len(boxes) > 1 else []


def _copy_ends(read: Read, size_bytes: int, file: BinaryIO) -> None:
    head = min(HEAD_BYTES, size_bytes)
    tail = min(TAIL_BYTES, size_bytes - head)
    _copy(read, 0, head, file)
    _copy(read, size_bytes - tail, tail, file)


def _copy(read: Read, offset: int, length: int, file: BinaryIO) -> None:
    end = offset + length
    while offset < end:
        _put(file, offset, read(offset, min(_SLICE_BYTES, end - offset)))
        offset += _SLICE_BYTES


def _put(file: BinaryIO, offset: int, content: bytes) -> None:
    file.seek(offset)
    file.write(content)


def _cached(read: Read, head: bytes) -> Read:
    """Serve reads within the head from memory; each other read is a round trip."""

    def read_or_recall(offset: int, length: int) -> bytes:
        if offset + length <= len(head):
            return head[offset : offset + length]
        return read(offset, length)

    return read_or_recall
