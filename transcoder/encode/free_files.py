"""Free files (inodes) of a file system, which may run out before its bytes do."""

import os
from pathlib import Path

LEAST_FILES = 64
"""Free files below which a file system counts as full: a rendition has one for each segment."""


def has_no_files(folder: Path) -> bool:
    """Return True if new files may be refused; a file system without a bound reports none."""
    found = os.statvfs(folder)
    return found.f_files > 0 and found.f_favail < LEAST_FILES
