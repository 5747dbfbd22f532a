"""CODECS attribute of a rendition, read from the init segment that players read.

RFC 6381: `avc1.PPCCLL` holds the profile, constraint and level bytes of the AVC configuration
record, `mp4a.40.N` the audio object type of the AAC configuration.
"""

import struct
from collections.abc import Iterator

_CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})
_STSD_HEAD = 8  # version, flags and entry count
_VISUAL_ENTRY_HEAD = 78  # ISO/IEC 14496-12, VisualSampleEntry before its boxes
_AUDIO_ENTRY_HEAD = 28  # AudioSampleEntry before its boxes
_DECODER_SPECIFIC_INFO = 0x05  # ISO/IEC 14496-1, descriptor tag


class InitSegmentUnreadable(Exception):
    """The init segment holds no H.264 track, or is no init segment."""


def codecs_of(init: bytes) -> str:
    """Name the codecs of an init segment, video first.

    Raises:
        InitSegmentUnreadable: It holds no H.264 track.
    """
    video = audio = None
    for kind, body in _sample_entries(init):
        if kind == b"avc1":
            video = _avc(body)
        elif kind == b"mp4a":
            audio = _aac(body)
    if video is None:
        raise InitSegmentUnreadable("no avc1 sample entry")
    return video if audio is None else f"{video},{audio}"


def _sample_entries(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    for kind, body in _boxes(data):
        if kind in _CONTAINERS:
            yield from _sample_entries(body)
        elif kind == b"stsd":
            yield from _boxes(body[_STSD_HEAD:])


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Walk sibling boxes. No box of an init segment is large enough for the 64-bit size form."""
    offset = 0
    while offset + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, offset)
        if size < 8:  # noqa: PLR2004  the size includes the box's own head
            raise InitSegmentUnreadable(f"box {kind!r} of size {size}")
        yield kind, data[offset + 8 : offset + size]
        offset += size


def _avc(entry: bytes) -> str:
    record = dict(_boxes(entry[_VISUAL_ENTRY_HEAD:])).get(b"avcC", b"")
    if len(record) < 4:  # noqa: PLR2004  version, profile, constraints, level
        raise InitSegmentUnreadable("no AVC configuration record")
    return f"avc1.{record[1:4].hex().upper()}"


def _aac(entry: bytes) -> str:
    descriptor = dict(_boxes(entry[_AUDIO_ENTRY_HEAD:])).get(b"esds", b"")
    at = descriptor.find(bytes([_DECODER_SPECIFIC_INFO]), 4)
    # ffmpeg writes four size bytes after the tag, others fewer: a set high bit means one more.
    start = at + 1
    while start < len(descriptor) and descriptor[start] & 0x80:
        start += 1
    if at < 0 or start + 1 >= len(descriptor):
        raise InitSegmentUnreadable("no AAC configuration")
    return f"mp4a.40.{descriptor[start + 1] >> 3}"
