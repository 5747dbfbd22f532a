"""Bound on the bytes that one ffmpeg writes into all its files together.

The kernel bounds each file of a process (RLIMIT_FSIZE), and not their number or sum.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from transcoder.encode.encode_errors import EncodeFailed

_REST = 20
"""Pause between two measurements, in durations of the last one: 4 h of video are 12,000 files."""

_LEAST_BYTES = 4096
"""Room that a file counts for at the least: an empty one uses up an inode of the disk."""


class OutputMeter:
    """Repeated measurement of a folder, which costs at most a twentieth of a core."""

    def __init__(
        self, folder: Path, max_bytes: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with a measurement at the first check.

        Args:
            folder: Folder of the outputs.
            max_bytes: Bound of the sum of their sizes.
            clock: Monotonic seconds.
        """
        self._folder = folder
        self._max_bytes = max_bytes
        self._clock = clock
        self._next_at = clock()

    def check(self) -> None:
        """Measure the folder if the pause since the last measurement is over.

        Raises:
            EncodeFailed: `encode_failed`; the files together are larger than the bound.
        """
        begun_at = self._clock()
        if begun_at < self._next_at:
            return
        if folder_bytes(self._folder) > self._max_bytes:
            detail = "Converting this video needs more room for its files than is allowed."
            raise EncodeFailed("encode_failed", detail)
        ended_at = self._clock()
        self._next_at = ended_at + _REST * (ended_at - begun_at)


def folder_bytes(folder: Path) -> int:
    """Sum the room of all files below a folder: size or blocks, and never less than a page."""
    walk = os.walk(folder)
    return sum(_occupied_bytes(Path(at, name)) for at, _, names in walk for name in names)


def _occupied_bytes(path: Path) -> int:
    try:
        status = path.lstat()
    except OSError:  # ffmpeg renames and removes files during the walk
        return 0
    return max(status.st_size, status.st_blocks * 512, _LEAST_BYTES)
