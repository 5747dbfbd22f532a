"""Files of other formats, and of none, that claim too much or are not what they say."""

import json
import random
import struct
import zlib
from collections.abc import Callable

Build = Callable[[], bytes]

_PASSWD = "file:///etc/passwd"
_INSIDE = "http://127.0.0.1:9/"


def text(content: str) -> Build:
    """A text file."""
    return content.encode


def _hls(address: str) -> Build:
    return text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}\n#EXT-X-ENDLIST\n")


def _chunk(kind: bytes, body: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + crc


def _png(*extra: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + b"".join(extra) + _chunk(b"IEND", b"")


def _apng() -> bytes:
    frames = [
        _chunk(b"fcTL", struct.pack(">IIIIIHHBB", at, 1, 1, 0, 0, 1, 1000, 0, 0))
        for at in range(5000)
    ]
    return _png(_chunk(b"acTL", struct.pack(">II", 5000, 0)), *frames)


def _gif() -> bytes:
    frame = b"\x21\xf9\x04\0\0\0\0\0\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x4c\x01\0"
    return b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff" + frame * 5000 + b"\x3b"


def _webp() -> bytes:
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + b"\xff" * 6
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _avif() -> bytes:
    return b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + b"\0\0\0\x08moov"


def _avi_bomb() -> bytes:
    main = struct.pack("<14I", 1, 0, 0, 16, 0xFFFFFFFF, 0, 500, 0, 65535, 65535, 0, 0, 0, 0)
    header = b"hdrlavih" + struct.pack("<I", len(main)) + main
    lists = b"LIST" + struct.pack("<I", len(header)) + header
    index = b"idx1" + struct.pack("<I", 0xFFFFFFF0) + bytes(1000)
    return b"RIFF\xff\xff\xff\xffAVI " + lists + b"LIST\4\0\0\0movi" + index


def _crc_mpeg(data: bytes) -> bytes:
    """CRC-32/MPEG-2, which zlib has in mirror image only."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x04C11DB7 if crc & 0x80000000 else 0)
            crc &= 0xFFFFFFFF
    return struct.pack(">I", crc)


def _packet(pid: int, payload: bytes) -> bytes:
    return struct.pack(">BHB", 0x47, 0x4000 | pid, 0x10) + payload.ljust(184, b"\xff")


def _section(table: int, body: bytes) -> bytes:
    length = 0xB000 | (len(body) + 9)
    section = struct.pack(">BHHBBB", table, length, 1, 0xC1, 0, 0) + body
    return b"\0" + section + _crc_mpeg(section)


def _ts_of_many_streams() -> bytes:
    """A hundred programs of thirty streams each; no stream has a packet."""
    packets = []
    for program in range(100):
        pid = 0x20 + program
        packets.append(_packet(0, _section(0, struct.pack(">HH", program + 1, 0xE000 | pid))))
        streams = range(0x100 + 30 * program, 0x100 + 30 * (program + 1))
        body = struct.pack(">HH", 0xFFFF, 0xF000)
        body += b"".join(struct.pack(">BHH", 0x1B, 0xE000 | at, 0xF000) for at in streams)
        packets.append(_packet(pid, _section(2, body)))
    return b"".join(packets)


def _element(name: str, body: bytes) -> bytes:
    return bytes.fromhex(name) + struct.pack(">Q", len(body) | 1 << 56) + body


def _matroska(*elements: bytes, size: bytes = b"\x01" + b"\xff" * 7) -> bytes:
    head = _element("1A45DFA3", _element("4282", b"matroska"))
    cluster = _element("1F43B675", _element("E7", b"\0"))  # where the header ends
    return head + bytes.fromhex("18538067") + size + b"".join(elements) + cluster


def _video_track(*more: bytes, codec: bytes = b"V_VP8", width: int = 64) -> bytes:
    size = _element("B0", struct.pack(">I", width)) + _element("BA", struct.pack(">H", 8192))
    picture = _element("E0", size)
    entry = _element("D7", b"\1") + _element("83", b"\1") + _element("86", codec) + picture
    return _element("1654AE6B", _element("AE", entry + b"".join(more)))


def _lasting(duration: float, *more: bytes) -> Build:
    info = _element("1549A966", _element("4489", struct.pack(">d", duration)))
    return lambda: _matroska(info, _video_track(*more))


def _every(interval_ns: int) -> bytes:
    return _element("23E383", struct.pack(">I", interval_ns))


def _wide() -> bytes:
    info = _element("1549A966", _element("4489", struct.pack(">d", 10_000)))
    return _matroska(info, _video_track(width=8192))


def _deep_tags() -> bytes:
    tag = b""
    for _ in range(3000):
        tag = _element("67C8", tag)
    return _matroska(_element("1254C367", _element("7373", tag)), _video_track())


def _laced_garbage() -> bytes:
    blocks = [_element("A3", b"\x81\0\0\x86\xff" + bytes(range(at % 60))) for at in range(500)]
    return _matroska(_video_track(), _element("1F43B675", _element("E7", b"\0") + b"".join(blocks)))


def _attachments() -> bytes:
    file = _element("466E", b"../../etc/cron.d/x.ttf") + _element("465C", bytes(100_000))
    file += _element("4660", b"application/x-truetype-font")
    return _matroska(_element("1941A469", _element("61A7", file) * 200))


def _flv_endless() -> bytes:
    meta = b"\2\0\nonMetaData\x08\0\0\0\1\0\x08duration\0" + struct.pack(">d", float("inf"))
    tag = b"\x12" + len(meta).to_bytes(3) + bytes(7) + meta
    return b"FLV\1\1\0\0\0\x09\0\0\0\0" + tag + struct.pack(">I", len(tag))


def _noise() -> bytes:
    return random.Random(1).randbytes(100_000)


OTHERS: dict[str, tuple[Build, str]] = {
    "empty": (bytes, "source_empty"),
    "one_byte": (lambda: b"\0", "unsupported_media"),
    "text": (text("not a video at all\n" * 1000), "unsupported_media"),
    "noise": (_noise, "unsupported_media"),
    "hls_of_a_local_file": (_hls(_PASSWD), "unsupported_media"),
    "hls_of_an_inner_address": (_hls(_INSIDE), "unsupported_media"),
    "hls_behind_a_mark_of_order": (text(f"\ufeff#EXTM3U\n{_PASSWD}\n"), "unsupported_media"),
    "dash": (
        text(f"<?xml version='1.0'?><MPD><BaseURL>{_INSIDE}</BaseURL></MPD>"),
        "unsupported_media",
    ),
    "ffconcat": (text(f"ffconcat version 1.0\nfile '{_PASSWD}'\n"), "unsupported_media"),
    "session_description": (text("v=0\no=- 0 0 IN IP4 127.0.0.1\n"), "unsupported_media"),
    "imf_composition": (
        text("<CompositionPlaylist xmlns='x'></CompositionPlaylist>"),
        "unsupported_media",
    ),
    "svg_that_includes_a_file": (
        text(f"<svg xmlns='http://www.w3.org/2000/svg'><image href='{_PASSWD}'/></svg>"),
        "unsupported_media",
    ),
    "xml_entity_bomb": (
        text("<!DOCTYPE a [<!ENTITY b 'bbbb'><!ENTITY c '&b;&b;'>]><a>&c;</a>"),
        "unsupported_media",
    ),
    "pdf": (text("%PDF-1.7\n" + json.dumps({"a": 1})), "unsupported_media"),
    "pdf_that_is_an_mp4_too": (lambda: b"\0\0\0\x20ftypisom%PDF-1.7" + bytes(12), "source_corrupt"),
    "zip": (lambda: b"PK\3\4" + bytes(1000), "unsupported_media"),
    "zip_behind_an_mp4_head": (
        lambda: b"\0\0\0\x10ftypisom\0\0\0\0PK\3\4" + bytes(1000),
        "source_corrupt",
    ),
    "subtitles": (text("1\n00:00:00,000 --> 99:59:59,999\nhello\n"), "unsupported_media"),
    "png_bomb": (_png, "unsupported_media"),
    "apng_of_five_thousand_frames": (_apng, "unsupported_media"),
    "gif_of_five_thousand_frames": (_gif, "unsupported_media"),
    "webp_bomb": (_webp, "unsupported_media"),
    "avif": (_avif, "unsupported_media"),
    "avi_index_bomb": (_avi_bomb, "no_video_stream"),
    "avi_header_alone": (lambda: b"RIFF\xff\xff\xff\xffAVI ", "source_corrupt"),
    "ts_of_three_thousand_streams": (_ts_of_many_streams, "source_corrupt"),
    "ts_of_nothing": (lambda: (b"\x47\x1f\xff\x10" + bytes(184)) * 2000, "source_corrupt"),
    "matroska_of_nan_seconds": (_lasting(float("nan")), "source_corrupt"),
    "matroska_of_endless_seconds": (_lasting(float("inf")), "source_corrupt"),
    "matroska_of_negative_seconds": (_lasting(-1e9), "source_corrupt"),
    "matroska_of_a_century": (_lasting(3e12), "source_too_long"),
    "matroska_of_a_thousand_frames_a_second_for_four_hours": (
        _lasting(4 * 3600 * 1000, _every(1_000_000)),
        "source_too_long",
    ),
    "matroska_giant_picture": (
        lambda: _matroska(_video_track(width=0x7FFFFFFF)),
        "source_corrupt",
    ),
    "matroska_of_8192_by_8192": (_wide, "source_too_large"),
    "matroska_unknown_codec": (
        lambda: _matroska(_video_track(codec=b"V_NONSENSE")),
        "undecodable",
    ),
    "matroska_deep_tags": (_deep_tags, "source_corrupt"),
    "matroska_laced_garbage": (_laced_garbage, "source_corrupt"),
    "matroska_of_attachments": (_attachments, "no_video_stream"),
    "matroska_oversized_element": (
        lambda: _matroska(b"\x16\x54\xae\x6b\x01" + b"\xfe" * 7),
        "no_video_stream",
    ),
    "matroska_header_alone": (_matroska, "no_video_stream"),
    "flv_of_endless_seconds": (_flv_endless, "source_corrupt"),
    "mpeg_program_of_zeros": (lambda: b"\0\0\1\xba" + bytes(100_000), "source_corrupt"),
    "ogg_of_garbage": (lambda: b"OggS" + _noise(), "source_corrupt"),
    "real_media": (lambda: b".RMF\0\0\0\x12" + _noise(), "unsupported_media"),
    "windows_tv": (
        lambda: bytes.fromhex("b7d800203749da11a64e0007e95ead8d") + _noise(),
        "unsupported_media",
    ),
    "windows_media": (
        lambda: bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + _noise(),
        "unsupported_media",
    ),
    "flash": (lambda: b"CWS\x0a" + _noise(), "unsupported_media"),
    "raw_h264": (lambda: b"\0\0\0\1\x67\x42\0\x1e" + bytes(1000), "unsupported_media"),
    "sound": (lambda: b"ID3\4" + bytes(1000), "no_video_stream"),
}
"""Each with what comes of it: the code of its refusal."""
