"""Copies of the parts of a large remote file that ffprobe reads."""

from pathlib import Path
from typing import BinaryIO

from pipeline.media.boxes import Box, Read, walk
from pipeline.media.containers import HEAD_BYTES, container_of
from pipeline.media.source_limits import MediaRefused, Refusal

MIB = 1024 * 1024
MAX_SAMPLE_BYTES = 64 * MIB  # the index of 12 h of video takes about 20 MiB
MAX_BOXES = 256
MEDIA_HEAD_BYTES = 2 * MIB  # the first frames, from which ffprobe learns the pixel format
_HEAD_BYTES = 8 * MIB  # over ffmpeg's default probesize of 5 MB
_TAIL_BYTES = 2 * MIB  # last timestamps of MPEG-TS and PS, cues of Matroska, index of AVI
_SLICE_BYTES = 4 * MIB  # one read; limits the memory of the caller's transport
_PADDING = ("free", "skip", "wide")


def sample_source(read: Read, size_bytes: int, into: Path) -> None:
    """Write a sparse file that `probe` measures like the whole one.

    The sparse file has the full size and holds only the parts that ffprobe reads. MP4 and MOV:
    every top-level box, of the media data only the first 2 MiB. Other containers: the first 8 and
    the last 2 MiB. A file with more than 256 boxes is fragmented and gets both.

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
    container = container_of(head[:HEAD_BYTES])
    with into.open("wb") as file:
        file.truncate(size_bytes)
        _put(file, 0, head)
        if container.has_boxes:
            _copy_boxes(_cached(read, head), size_bytes, file)
        else:
            _copy_ends(read, size_bytes, file)


def _copy_boxes(read: Read, size_bytes: int, file: BinaryIO) -> None:
    boxes = walk(read, size_bytes, max_boxes=MAX_BOXES)
    if not any(box.type == "moov" for box in boxes):
        raise MediaRefused(Refusal.SOURCE_CORRUPT, "The file has no index: it was cut off.")
    if len(boxes) == MAX_BOXES:
        _copy_ends(read, size_bytes, file)
    wanted = [(box.offset, _wanted_bytes(box)) for box in boxes]
    if sum(length for _, length in wanted) > MAX_SAMPLE_BYTES:
        raise MediaRefused(Refusal.SOURCE_TOO_LARGE, "The file's index is too large.")
    for offset, length in wanted:
        _copy(read, offset, length, file)


def _wanted_bytes(box: Box) -> int:
    if box.type == "mdat":
        return min(box.size, MEDIA_HEAD_BYTES)
    if box.type in _PADDING:
        return min(box.size, 16)  # the header alone
    return box.size


def _copy_ends(read: Read, size_bytes: int, file: BinaryIO) -> None:
    head = min(_HEAD_BYTES, size_bytes)
    tail = min(_TAIL_BYTES, size_bytes - head)
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
