"""Matroska files whose container crops the picture: ffmpeg reads such crops and writes none."""

_TRACKS = b"\x16\x54\xae\x6b"
_ENTRY, _NAME, _VIDEO, _VOID = b"\xae", b"\x53\x6e", b"\xe0", b"\xec"
_CROP_LEFT, _CROP_TOP, _CROP_RIGHT, _CROP_BOTTOM = (
    b"\x54\xcc",
    b"\x54\xbb",
    b"\x54\xdd",
    b"\x54\xaa",
)
TITLE = "x" * 100
"""Title of the video track that is cropped: the crop is written in its place."""


def cropped(data: bytes, left: int, top: int, right: int, bottom: int) -> bytes:
    """Write a crop into the first track of a file, whose title is `TITLE`."""
    at = data.index(_TRACKS, data.index(_TRACKS) + 4)  # the first one is its mention in the index
    at += 4 + _size(data, at + 4)[1]
    while data[at : at + 1] != _ENTRY:  # a checksum
        length, bytes_of_it = _size(data, at + 1)
        at += 1 + bytes_of_it + length
    length, bytes_of_it = _size(data, at + 1)
    end = at + 1 + bytes_of_it + length
    numbers = zip(
        (_CROP_LEFT, _CROP_TOP, _CROP_RIGHT, _CROP_BOTTOM), (left, top, right, bottom), strict=True
    )
    crop = b"".join(_element(kind, number.to_bytes(2)) for kind, number in numbers)
    body = b"".join(
        _element(kind, content + crop if kind == _VIDEO else content)
        for kind, content in _children(data[at + 1 + bytes_of_it : end])
        if kind != _NAME
    )
    room = end - at - len(_ENTRY) - 8 - len(body) - 2
    body += _VOID + bytes([0x80 | room]) + bytes(room)
    return data[:at] + _ENTRY + (1 << 56 | len(body)).to_bytes(8) + body + data[end:]


def _size(data: bytes, at: int) -> tuple[int, int]:
    """Return a size and the number of its own bytes (RFC 8794 §6)."""
    length = 9 - data[at].bit_length()
    first = data[at] & (0xFF >> length)
    return int.from_bytes(bytes([first]) + data[at + 1 : at + length]), length


def _children(body: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 0
    while at < len(body):
        id_bytes = 9 - body[at].bit_length()
        size, bytes_of_it = _size(body, at + id_bytes)
        begin = at + id_bytes + bytes_of_it
        found.append((body[at : at + id_bytes], body[begin : begin + size]))
        at = begin + size
    return found


def _element(kind: bytes, content: bytes) -> bytes:
    return kind + (0x4000 | len(content)).to_bytes(2) + content
