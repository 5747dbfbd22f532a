"""CODECS attribute of a rendition, read from the init segment that players read.

RFC 6381: `avc1.PPCCLL` holds the profile, constraint and level bytes of the AVC configuration
record, `mp4a.40.N` the audio object type of the AAC configuration.
"""

from collections.abc import Iterator

from pipeline.media.boxes import walk

_CONTAINERS = frozenset({"moov", "trak", "mdia", "minf", "stbl"})
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
        MediaRefused: It is cut off.
    """
    video = audio = None
    for kind, body in _sample_entries(init):
        if kind == "avc1":
            video = _avc(body)
        elif kind == "mp4a":
            audio = _aac(body)
    if video is None:
        raise InitSegmentUnreadable("no avc1 sample entry")
    return video if audio is None else f"{video},{audio}"


def _sample_entries(data: bytes) -> Iterator[tuple[str, bytes]]:
    for kind, body in _boxes(data):
        if kind in _CONTAINERS:
            yield from _sample_entries(body)
        elif kind == "stsd":
            yield from _boxes(body[_STSD_HEAD:])


def _boxes(data: bytes) -> Iterator[tuple[str, bytes]]:
    for box in walk(lambda offset, length: data[offset : offset + length], len(data)):
        yield box.type, data[box.offset + 8 : box.end]  # none is large enough for 64-bit sizes


def _avc(entry: bytes) -> str:
    record = dict(_boxes(entry[_VISUAL_ENTRY_HEAD:])).get("avcC", b"")
    if len(record) < 4:  # noqa: PLR2004  version, profile, constraints, level
        raise InitSegmentUnreadable("no AVC configuration record")
    return f"avc1.{record[1:4].hex().upper()}"


def _aac(entry: bytes) -> str:
    descriptor = dict(_boxes(entry[_AUDIO_ENTRY_HEAD:])).get("esds", b"")
    at = descriptor.find(bytes([_DECODER_SPECIFIC_INFO]), 4)
    # ffmpeg writes four size bytes after the tag, others fewer: a set high bit means one more.
    start = at + 1
    while start < len(descriptor) and descriptor[start] & 0x80:
        start += 1
    if at < 0 or start + 1 >= len(descriptor):
        raise InitSegmentUnreadable("no AAC configuration")
    return f"mp4a.40.{descriptor[start + 1] >> 3}"
