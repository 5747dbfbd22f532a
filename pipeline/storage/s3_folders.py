"""Upload of a folder's files, several at a time, playlists last."""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from itertools import groupby
from pathlib import Path

from pipeline.storage.base import KeyRefused, check_key

_AT_ONCE = 8
"""Segments have a few MB: one after another would spend most of the time on round trips."""
_BEAT_SEC = 1.0
_PLAYLIST = ".m3u8"


def files_by_key(folder: Path, prefix: str) -> dict[str, Path]:
    """Return every file below a folder, by its future key.

    Raises:
        KeyRefused: the folder holds a link, a device, or a name that no key may have.
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
    """Upload files; a playlist follows the files that it lists.

    Args:
        files: Files by their keys.
        upload: Stores one file; called from several threads.
        beat: Called from this thread at least once a second; an exception of it ends the upload.
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
    """Return the rank of a key: media first, then the deepest playlists, the master last."""
    is_playlist = key.endswith(_PLAYLIST)
    return is_playlist, -key.count("/") if is_playlist else 0
