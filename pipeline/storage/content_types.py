"""The `Content-Type` of a stored object, from the suffix of its key.

Players and browsers need these types: Safari plays a playlist of this type only, and browsers read
captions of this type only. Segments and their init file have `video/mp4`, which every player
accepts; some do not know the registered name, `video/iso.segment`.
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
    """Return the type for a key; `application/octet-stream` for an unknown suffix."""
    return _BY_SUFFIX.get(PurePosixPath(key).suffix.lower(), OCTET_STREAM)
