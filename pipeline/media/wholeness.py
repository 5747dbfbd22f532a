"""Test of a file for a missing end, by the size that its container declares for itself.

A file cut off in mid-transfer still declares its whole length in seconds, as does a whole file with
a false declaration. The sizes in bytes tell the two apart.
"""

from pathlib import Path
from typing import BinaryIO

_SEGMENT = b"\x18\x53\x80\x67"
_EBML = b"\x1a\x45\xdf\xa3"
_RIFF_HEAD_BYTES = 8


def is_whole(path: Path, container: str) -> bool | None:
    """Return False for a file that lacks its end, None if its container does not say.

    Args:
        path: A local file.
        container: Name of its container, as the probe found it.
    """
    if container in ("mp4", "mov"):
        return True  # the probe refuses a cut one
    declared = None
    with path.open("rb") as file:
        if container in ("matroska", "webm"):
            declared = _matroska_bytes(file)
        elif container == "avi":
            declared = _riff_bytes(file)
    return None if declared is None else path.stat().st_size >= declared


def _matroska_bytes(file: BinaryIO) -> int | None:
    """Return the size of the header and the segment; None for a live one (RFC 8794 §6)."""
    if file.read(4) != _EBML:
        return None
    header = _ebml_size(file)
    if header is None:
        return None
    file.seek(header, 1)
    if file.read(4) != _SEGMENT:
        return None
    segment = _ebml_size(file)
    return None if segment is None else file.tell() + segment


def _ebml_size(file: BinaryIO) -> int | None:
    """Read a variable-length size; None for an unknown one, whose bits are all set."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    rest = file.read(length - 1)
    value = int.from_bytes(bytes([first[0] & (0xFF >> length)]) + rest)
    return None if value == (1 << 7 * length) - 1 else value


def _riff_bytes(file: BinaryIO) -> int | None:
    """Return the size of the first RIFF chunk; 0 is that of a recording that was never closed."""
    head = file.read(_RIFF_HEAD_BYTES)
    declared = int.from_bytes(head[4:8], "little")
    return declared + _RIFF_HEAD_BYTES if len(head) == _RIFF_HEAD_BYTES and declared else None
