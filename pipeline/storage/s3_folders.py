"""Many files to many objects, several at a time, playlists last."""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from itertools import groupby
from pathlib import Path

from pipeline.storage.base import KeyRefused, check_key

_AT_ONCE = 8
"""Segments are a few MB: with one after the other, most of the time would be round trips."""
_BEAT_SEC = 1.0
_PLAYLIST = ".m3u8"


def files_by_key(folder: Path, prefix: str) -> dict[str, Path]:
    """Every file below a folder, by the key it is to have.

    Raises:
        KeyRefused: the folder holds a link, a device, or a name no key may have.
        FileNotFoundError: there is no such folder.
    """
    return dict(_walk(folder, check_key(prefix)))


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        key = check_key(f"{prefix}/{entry.name}")
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), key)
        elif entry.is_file(follow_symlinks=False):
            yield key, Path(entry.path)
        else:
            raise KeyRefused("only plain files and folders can be published")


def upload_all(
    files: Mapping[str, Path],
    upload: Callable[[str, Path], None],
    beat: Callable[[], object],
) -> None:
    """Upload files so that whoever can read a playlist can read what it lists.

    Args:
        files: By their keys.
        upload: Stores one; called from several threads.
        beat: Called from this thread every second or more often; what it raises ends it.
    """
    with ThreadPoolExecutor(_AT_ONCE, "s3-upload") as pool:
        for _, wave in groupby(sorted(files, key=_wave), key=_wave):
            _settle({pool.submit(upload, key, files[key]) for key in wave}, beat)


def _settle(uploads: set[Future[None]], beat: Callable[[], object]) -> None:
    pending = uploads
    try:
        while pending:
            beat()
            done, pending = wait(pending, timeout=_BEAT_SEC, return_when=FIRST_EXCEPTION)
            for upload in done:
                upload.result()
    except BaseException:
        for upload in pending:
            upload.cancel()
        raise


def _wave(key: str) -> tuple[bool, int]:
    """Media first, then playlists, the deepest of them first: the master playlist is last."""
    is_playlist = key.endswith(_PLAYLIST)
    return is_playlist, -key.count("/") if is_playlist else 0
