"""Headers of FLV files inside of a file: several recordings that were joined.

ffmpeg takes such a header for a tag of five megabytes, and loses what follows. The header becomes
part of a tag of an unknown type, which every reader skips (Adobe, Video File Format Specification
10.1, annex E.4).
"""

from mmap import mmap
from pathlib import Path

_HEAD = b"FLV\x01"
_HEAD_BYTES = 9
_TAG_BYTES = 11
_SIZE_BYTES = 4  # of the tag before, after each tag and after the header
_MOST_TAG_BYTES = 0xFFFFFF
_SCRIPT = 18
_UNKNOWN = 15


def hide_inner_headers(source: Path) -> None:
    """Make a joined FLV one file, in place; its clock still begins again. No other is changed.

    A header vanishes together with the metadata behind it, or else with the last tag before it.
    """
    with source.open("r+b") as file, mmap(file.fileno(), 0) as content:
        last, at = None, _HEAD_BYTES + _SIZE_BYTES
        while at + _TAG_BYTES <= len(content):
            if content[at : at + len(_HEAD)] != _HEAD:
                last, at = at, _next(content, at)
                continue
            behind = at + _HEAD_BYTES + _SIZE_BYTES
            is_script = content[behind : behind + 1] == bytes([_SCRIPT])
            if is_script and _next(content, behind) <= len(content):
                behind = _next(content, behind)
            elif last is not None:
                at = last
            is_one_tag = _TAG_BYTES + _SIZE_BYTES <= behind - at <= _MOST_TAG_BYTES
            if behind > len(content) or not is_one_tag:
                return
            _fill(content, at, behind)
            last, at = at, behind


def _next(content: mmap, at: int) -> int:
    size = int.from_bytes(content[at + 1 : at + 4])
    return at + _TAG_BYTES + size + _SIZE_BYTES


def _fill(content: mmap, begin: int, end: int) -> None:
    """Write a tag that is skipped over these bytes."""
    size = end - begin - _TAG_BYTES - _SIZE_BYTES
    content[begin : begin + 4] = bytes([_UNKNOWN]) + size.to_bytes(3)
    content[end - _SIZE_BYTES : end] = (size + _TAG_BYTES).to_bytes(_SIZE_BYTES)
