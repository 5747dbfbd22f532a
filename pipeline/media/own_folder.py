"""Temporary folders of living processes alone.

A process that is killed leaves its folder behind. The next one to make such a folder removes it. A
lock tells whose process lives, because the kernel releases it.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISDIR
from tempfile import TemporaryDirectory, gettempdir

_LOCK = ".lock"
_UNLOCKED_SEC = 60.0
"""Age from which a folder without a lock is left over. A younger one may not have its lock yet."""


@contextmanager
def own_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """Make a folder for this process, and remove it after the block.

    Args:
        prefix: Beginning of its name, which says what it is for.
        parent: Folder to make it in; None for the system's temporary one.

    Raises:
        OSError: The folder cannot be made.
    """
    remove_left_over(prefix, parent)
    with TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with (folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder


def remove_left_over(prefix: str, parent: Path | None = None) -> None:
    """Remove the folders that killed processes have left; a minute after they were made."""
    for folder in (parent or Path(gettempdir())).glob(f"{prefix}*"):
        if _is_left_over(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_left_over(folder: Path) -> bool:
    try:
        found = folder.lstat()
        is_own = S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()  # all users write there
        if not is_own or time.time() - found.st_mtime < _UNLOCKED_SEC:
            return False
        with (folder / _LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # it is locked, gone, or of another user
        return False
    return True
