"""The `Content-Type` of a stored object, from the suffix of its key.

Players and browsers insist on these: Safari plays no playlist of another type, and captions need
theirs to be read at all. Segments and their init file say `video/mp4`, which every player takes
(`video/iso.segment` is the registered name that some do not know).
"""

from pathlib import PurePosixPath

OCTET_STREAM = "application/octet-stream"

_BY_SUFFIX = {
    ".m3u8": "application/vnd.apple.mpegurl",  # RFC 8216 §4
    ".m4s": "video/mp4",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".ts": "video/mp2t",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".vtt": "text/vtt",
    ".json": "application/json",
}


def content_type_of(key: str) -> str:
    """The type for a key; bytes of no particular kind when its suffix is not ours."""
    return _BY_SUFFIX.get(PurePosixPath(key).suffix.lower(), OCTET_STREAM)
