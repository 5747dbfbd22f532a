import struct

import pytest

from pipeline.media.source_limits import MediaRefused
from transcoder.encode.codecs import InitSegmentUnreadable, codecs_of


def box(kind: str, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind.encode()) + body


def track(entry: bytes) -> bytes:
    return box("trak", box("mdia", box("minf", box("stbl", box("stsd", bytes(8), entry)))))


AVC = box("avc1", bytes(78), box("avcC", bytes([1, 0x64, 0x00, 0x1F])))


def aac(*size: int) -> bytes:
    """AAC-LC: object type 2 in the upper five bits, after a descriptor size of some bytes."""
    return box("mp4a", bytes(28), box("esds", bytes(4), bytes([0x05, *size, 0x12, 0x10])))


@pytest.mark.parametrize("size", [(2,), (0x80, 0x80, 0x80, 2)], ids=["one byte", "four bytes"])
def test_picture_and_sound_are_named_whatever_their_order(size: tuple[int, ...]) -> None:
    init = box("ftyp", b"isom") + box("moov", track(aac(*size)), track(AVC))

    assert codecs_of(init) == "avc1.64001F,mp4a.40.2"
    assert codecs_of(box("moov", track(AVC))) == "avc1.64001F"


@pytest.mark.parametrize(
    "init",
    [
        *(b"", b"text", box("moov"), box("moov", track(aac(2)))),
        box("moov", track(box("avc1", bytes(78)))),
        box("moov", track(AVC), track(box("mp4a", bytes(28)))),
        struct.pack(">I4s", 4, b"moov"),
    ],
)
def test_bytes_without_a_configuration_are_refused(init: bytes) -> None:
    with pytest.raises(InitSegmentUnreadable):
        codecs_of(init)


def test_an_init_segment_that_was_cut_off_is_refused() -> None:
    init = box("moov", track(AVC))
    with pytest.raises(MediaRefused):
        codecs_of(init[:-3])
