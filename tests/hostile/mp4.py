"""MP4 files (ISO/IEC 14496-12) with one thing wrong each, made from a good one with `moov` last."""

import random
import struct
import zlib
from collections.abc import Callable, Sequence

Damage = Callable[[bytes], bytes]

_HUGE = 0x7FFFFFFF
_MDHD = ("moov", "trak", "mdia", "mdhd")
_STBL = ("moov", "trak", "mdia", "minf", "stbl")
_SAMPLE_ENTRY_AT = 8  # behind version, flags and count of `stsd`
_VISUAL_HEAD = 86  # of a sample entry, with its own header


def box(kind: str, *parts: bytes) -> bytes:
    """A box of a type around its parts."""
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind.encode("latin-1")) + body


def changed(data: bytes, path: Sequence[str], change: Damage) -> bytes:
    """The file with the body of the first box at a path changed, and every size mended."""
    offset = 0
    while offset + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, offset)
        if kind.decode("latin-1") == path[0]:
            body = data[offset + 8 : offset + size]
            new = changed(body, path[1:], change) if path[1:] else change(body)
            return data[:offset] + box(path[0], new) + data[offset + size :]
        offset += size
    raise LookupError(path)


def at(path: Sequence[str], offset: int, layout: str, *values: float) -> Damage:
    """Overwrite numbers at an offset of a box's body."""

    def patch(body: bytes) -> bytes:
        piece = struct.pack(layout, *values)
        return body[:offset] + piece + body[offset + len(piece) :]

    return lambda data: changed(data, path, patch)


def inside(path: Sequence[str], *boxes: bytes) -> Damage:
    """Add boxes at the end of a box."""
    return lambda data: changed(data, path, lambda body: body + b"".join(boxes))


def table(name: str, *numbers: int) -> Damage:
    """Replace a sample table by one of these 32-bit numbers after version and flags."""
    content = struct.pack(f">{len(numbers) + 1}I", 0, *numbers)
    return lambda data: changed(data, (*_STBL, name), lambda _: content)


def in_sample_entry(change: Damage) -> Damage:
    """Change the video's sample entry, header and all."""
    path = (*_STBL, "stsd")
    return lambda data: changed(
        data, path, lambda body: body[:_SAMPLE_ENTRY_AT] + change(body[_SAMPLE_ENTRY_AT:])
    )


def nested(kind: str, depth: int) -> bytes:
    """A box in a box in a box, `depth` deep."""
    sizes = range(8 * depth, 0, -8)
    return b"".join(struct.pack(">I4s", size, kind.encode()) for size in sizes)


def many_tracks(data: bytes) -> bytes:
    """The first track, three thousand times."""
    start = data.rindex(b"trak") - 4
    (size,) = struct.unpack_from(">I", data, start)
    return inside(("moov",), data[start : start + size] * 3000)(data)


def compressed_index(data: bytes) -> bytes:
    """A `cmov` of a few kilobytes that claims to unfold to 2 GB, and does to 256 MB."""
    packed = zlib.compressobj(9)
    bomb = b"".join(packed.compress(bytes(1 << 20)) for _ in range(256)) + packed.flush()
    cmvd = box("cmvd", struct.pack(">I", _HUGE), bomb)
    return changed(data, ("moov",), lambda _: box("cmov", box("dcom", b"zlib"), cmvd))


def giant_picture(data: bytes) -> bytes:
    """A sequence parameter set of 16384x16384, in a few bytes."""
    side = 16384 // 16 - 1
    bits = _exp_golomb(0, 0, 2, 1) + "0" + _exp_golomb(side, side) + "11000" + "1"
    bits += "0" * (-len(bits) % 8)
    sps = b"\x67\x42\x00\x33" + int(bits, 2).to_bytes(len(bits) // 8)
    record = b"\x01\x42\x00\x33\xff\xe1" + struct.pack(">H", len(sps)) + sps
    record += b"\x01\x00\x04\x68\xce\x38\x80"

    def change(entry: bytes) -> bytes:
        head = entry[:32] + struct.pack(">HH", 16384, 16384) + entry[36:_VISUAL_HEAD]
        new = head + box("avcC", record)
        return struct.pack(">I", len(new)) + new[4:]

    return in_sample_entry(change)(data)


def _exp_golomb(*numbers: int) -> str:
    words = [f"{number + 1:b}" for number in numbers]
    return "".join("0" * (len(word) - 1) + word for word in words)


def shaped_pixels(across: int, down: int) -> Damage:
    """Pixels of this aspect ratio, of which most were square."""

    def change(entry: bytes) -> bytes:
        plain = entry.replace(b"pasp", b"free")
        return (
            struct.pack(">I", len(entry) + 16)
            + plain[4:]
            + box("pasp", struct.pack(">II", across, down))
        )

    return in_sample_entry(change)


def external_media(data: bytes) -> bytes:
    """A track whose samples lie in another file."""
    url = box("url ", bytes(4), b"file:///etc/passwd\0")
    dref = struct.pack(">II", 0, 1) + url
    return changed(data, (*_STBL[:-1], "dinf", "dref"), lambda _: dref)


def _edits(count: int) -> bytes:
    rng = random.Random(7)
    garbage = rng.randbytes(12 * count)
    return box("edts", box("elst", struct.pack(">II", 0, count), garbage))


def _without_first_edits(data: bytes) -> bytes:
    return changed(data, ("moov", "trak"), lambda body: body.replace(b"edts", b"free"))


def _chapters(count: int) -> bytes:
    entries = b"".join(struct.pack(">QB", number, 4) + b"part" for number in range(count))
    return box("udta", box("chpl", b"\1\0\0\0", struct.pack(">BI", 0, count % 256), entries))


def _title(text: bytes) -> bytes:
    data = box("data", struct.pack(">II", 1, 0), text)
    handler = box("hdlr", bytes(8), b"mdirappl", bytes(9))
    return box("udta", box("meta", bytes(4), handler, box("ilst", box("\xa9nam", data))))


def _header_of(size: int, large: int | None = None) -> Damage:
    """Give the index a size that is not its own."""

    def change(data: bytes) -> bytes:
        start = data.rindex(b"moov") - 4
        wide = b"" if large is None else struct.pack(">Q", large)
        return data[:start] + struct.pack(">I4s", size, b"moov") + wide + data[start + 8 :]

    return change


def _index_first_child(size: int) -> Damage:
    def change(data: bytes) -> bytes:
        start = data.rindex(b"mvhd") - 4
        return data[:start] + struct.pack(">I", size) + data[start + 4 :]

    return change


MP4: dict[str, tuple[Damage, str]] = {
    "giant_picture_in_the_stream": (giant_picture, "undecodable"),
    "giant_track_header": (
        at(("moov", "trak", "tkhd"), 76, ">II", 0xFFFF0000, 0xFFFF0000),
        "accepted",
    ),
    "endless_duration": (
        lambda data: at(_MDHD, 16, ">I", 0xFFFFFFF0)(
            at(("moov", "mvhd"), 16, ">I", 0xFFFFFFF0)(data)
        ),
        "accepted",
    ),
    "no_clock": (at(_MDHD, 12, ">I", 0), "accepted"),
    "a_million_frames_a_second": (
        lambda data: table("stts", 1, 50, 1)(at(_MDHD, 12, ">I", 1_000_000)(data)),
        "source_unusual",
    ),
    "more_time_steps_than_bytes": (table("stts", _HUGE, 1, 1), "source_corrupt"),
    "one_time_step_for_four_billion_frames": (table("stts", 1, 0xFFFFFFFF, 1), "source_unusual"),
    "a_thousand_frames_a_second_for_four_hours": (
        lambda data: table("stts", 1, 4 * 3600 * 1000, 1)(at(_MDHD, 12, ">I", 1000)(data)),
        "source_too_long",
    ),
    "ten_million_frames_at_one_instant": (
        table("stts", 2, 25, 512, 10_000_000, 0),
        "source_too_long",
    ),
    "sizes_of_two_billion_frames": (table("stsz", 0, _HUGE), "source_corrupt"),
    "two_billion_frames_of_one_byte": (table("stsz", 1, _HUGE), "accepted"),
    "two_billion_chunks": (table("stco", _HUGE), "accepted"),
    "two_billion_chunk_runs": (table("stsc", _HUGE, 1, 1, 1), "source_corrupt"),
    "two_billion_reorderings": (
        inside(_STBL, box("ctts", struct.pack(">II", 0, _HUGE))),
        "source_corrupt",
    ),
    "two_billion_key_frames": (table("stss", _HUGE), "source_corrupt"),
    "garbage_edits": (
        lambda data: inside(("moov", "trak"), _edits(5000))(_without_first_edits(data)),
        "accepted",
    ),
    "index_of_size_zero": (_header_of(0), "accepted"),
    "index_of_size_one": (_header_of(1, 4), "source_corrupt"),
    "index_past_the_end": (_header_of(_HUGE), "source_corrupt"),
    "index_of_64_bit_overflow": (_header_of(1, 0xFFFFFFFFFFFFFFF0), "source_corrupt"),
    "child_past_its_parent": (_index_first_child(_HUGE), "no_video_stream"),
    "child_of_size_one": (_index_first_child(1), "no_video_stream"),
    "boxes_nested_deep": (inside(("moov",), nested("moov", 20_000)), "source_corrupt"),
    "metadata_nested_deep": (inside(("moov",), nested("udta", 20_000)), "source_corrupt"),
    "a_million_empty_boxes": (lambda data: box("free") * 1_000_000 + data, "source_corrupt"),
    "compressed_index_bomb": (compressed_index, "source_corrupt"),
    "three_thousand_tracks": (many_tracks, "source_corrupt"),
    "media_in_another_file": (external_media, "accepted"),
    "pixels_one_wide_65535_high": (shaped_pixels(1, 65535), "accepted"),
    "pixels_65535_wide_one_high": (shaped_pixels(65535, 1), "source_unusual"),
    "rotation_of_garbage": (
        at(("moov", "trak", "tkhd"), 40, ">9i", *range(-(2**31), 2**31, 2**29 - 2**25)),
        "accepted",
    ),
    "ten_thousand_chapters": (inside(("moov",), _chapters(10_000)), "accepted"),
    "a_title_of_megabytes": (inside(("moov",), _title(b"A" * 4_000_000)), "accepted"),
    "a_title_of_nulls": (inside(("moov",), _title(b"a\0b\xff" * 1000)), "accepted"),
    "cut_in_the_media": (lambda data: data[: len(data) // 2], "source_corrupt"),
    "cut_in_the_index": (lambda data: data[:-200], "source_corrupt"),
    "header_alone": (lambda data: data[:32], "source_corrupt"),
    "no_index": (lambda data: data[: data.rindex(b"moov") - 4], "source_corrupt"),
    "header_and_noise": (
        lambda data: data[:32] + random.Random(3).randbytes(200_000),
        "source_corrupt",
    ),
    "empty_index": (lambda data: data[:32] + box("moov"), "no_video_stream"),
}
"""What is done to a good file, and what comes of it: a refusal's code, or `accepted`."""
