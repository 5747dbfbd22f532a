import pytest

from pipeline.media.boxes import Box, Read, is_faststart, walk
from pipeline.media.source_limits import MediaRefused


def box(kind: bytes, body: bytes = b"") -> bytes:
    return (8 + len(body)).to_bytes(4) + kind + body


def large_box(kind: bytes, body: bytes) -> bytes:
    return (1).to_bytes(4) + kind + (16 + len(body)).to_bytes(8) + body


def reader(content: bytes) -> Read:
    return lambda offset, length: content[offset : offset + length]


def walked(content: bytes, *, max_boxes: int = 256) -> list[Box]:
    return walk(reader(content), len(content), max_boxes=max_boxes)


def test_every_top_level_box_is_listed_and_none_within() -> None:
    content = box(b"ftyp", b"isom") + box(b"moov", box(b"mvhd")) + box(b"mdat", b"12345")

    assert walked(content) == [Box("ftyp", 0, 12), Box("moov", 12, 16), Box("mdat", 28, 13)]


def test_a_64_bit_size_is_read() -> None:
    assert walked(large_box(b"mdat", b"123")) == [Box("mdat", 0, 19)]


def test_a_size_of_zero_means_to_the_end() -> None:
    assert walked(b"\0\0\0\0mdat12345") == [Box("mdat", 0, 13)]


@pytest.mark.parametrize("missing", [1, 4, 5])
def test_a_box_that_goes_past_the_end_is_a_file_cut_off(missing: int) -> None:
    content = box(b"ftyp", b"isom") + box(b"mdat", b"12345")

    with pytest.raises(MediaRefused, match="cut off") as refusal:
        walked(content[:-missing])

    assert refusal.value.code == "source_corrupt"


def test_a_64_bit_box_that_goes_past_the_end_is_a_file_cut_off() -> None:
    with pytest.raises(MediaRefused):
        walked(large_box(b"mdat", b"123")[:-1])


@pytest.mark.parametrize("padding", [b"\0" * 64, b"\xff" * 64, b"\0\0\0\x03free", b"<!-- -->"])
def test_padding_after_the_last_box_is_ignored(padding: bytes) -> None:
    assert walked(box(b"moov") + padding) == [Box("moov", 0, 8)]


def test_the_walk_is_bounded() -> None:
    assert len(walked(box(b"moof") * 100, max_boxes=10)) == 10


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ((b"ftyp", b"moov", b"mdat"), True),
        ((b"ftyp", b"mdat", b"moov"), False),
        ((b"ftyp", b"free", b"moov"), True),
        ((b"ftyp",), False),
    ],
)
def test_faststart_means_the_index_comes_before_the_media(
    kinds: tuple[bytes, ...],
    expected: bool,
) -> None:
    assert is_faststart(walked(b"".join(box(kind) for kind in kinds))) is expected
