"""Transfer of a folder of finished files into the storage, by links if possible."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from pipeline.storage.base import KeyRefused, check_key
from pipeline.storage.local_parts import flush_folder


def link_tree(folder: Path, into: Path, prefix: str, beat: Callable[[], object]) -> int:
    """Link or copy a tree of plain files, flush it to the disk, and return its bytes."""
    size_bytes = 0
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        beat()
        key = check_key(f"{prefix}/{entry.name}")
        target = into / entry.name
        if entry.is_dir(follow_symlinks=False):
            target.mkdir()
            size_bytes += link_tree(Path(entry.path), target, key, beat)
        elif entry.is_file(follow_symlinks=False):
            size_bytes += _link_or_copy(Path(entry.path), target)
        else:
            raise KeyRefused("only plain files and folders can be published")
    flush_folder(into)
    return size_bytes


def _link_or_copy(source: Path, target: Path) -> int:
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        shutil.copyfile(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size
