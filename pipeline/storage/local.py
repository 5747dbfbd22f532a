"""Driver of a storage in a local folder.

New content is written to `.incoming` beside the objects, on the same file system. A single rename
gives it its name once it is complete and on the disk. Keys never begin with a dot, so no key names
the folder. Each object that arrives in parts has a folder of its own in it (`local_parts`).

A marker file tells the folder from the empty one that is left when its disk is not mounted. Without
it nothing is written, and no object counts as missing.
"""

import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from pipeline.storage.base import (
    KeyRefused,
    ObjectMissing,
    PartsRefused,
    Stat,
    StorageAway,
    bounded,
    check_key,
)
from pipeline.storage.content_types import content_type_of
from pipeline.storage.local_folders import link_tree
from pipeline.storage.local_parts import PartsFolder, flush_folder
from pipeline.storage.multipart import Multipart, Part, SignedRequest

MARKER = ".khronika-storage"
_MARKER_TEXT = "This folder is a storage of Khronika Video. Keep this file: it marks the mount.\n"
_INCOMING = ".incoming"
_CHUNK_BYTES = 256 * 1024
_MULTIPART_ID = re.compile(r"[0-9a-f]{32}")


class LocalStorage:
    """The driver for `file:///folder`, a folder that `prepare_folder` has marked.

    Raises:
        NotADirectoryError: no folder can have that name.

    Every method raises `StorageAway` while the folder lacks its marker.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        if any(parent.is_file() or parent.is_char_device() for parent in self._root.parents):
            raise NotADirectoryError(f"{root} lies below a file")
        self._incoming = self._root / _INCOMING

    def write(self, key: str, chunks: Iterable[bytes], *, max_bytes: int | None = None) -> Stat:
        """See `Storage.write`."""
        target = self._path(key)
        with self._scratch() as growing:
            with growing.open("wb") as file:
                for chunk in bounded(chunks, max_bytes):
                    file.write(chunk)
                os.fsync(file.fileno())
            self._rename(growing, target)
        return self.stat(key)

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """See `Storage.read`."""
        found = self.stat(key)
        stop = found.size_bytes if end is None else min(end, found.size_bytes)
        return _slices(self._path(key), start, stop)

    def stat(self, key: str) -> Stat:
        """See `Storage.stat`."""
        try:
            found = self._path(key).stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            self._require_marker()  # the disk may have gone since the path was made
            raise ObjectMissing(key) from error
        if not stat.S_ISREG(found.st_mode):
            raise ObjectMissing(key)
        return _object_stat(key, found)

    def publish_folder(
        self, folder: Path, prefix: str, *, beat: Callable[[], object] = lambda: None
    ) -> int:
        """See `Storage.publish_folder`; the folder appears in one step.

        Files are linked, not copied, if the file system allows it.
        """
        target = self._path(prefix)
        with self._scratch() as growing:
            growing.mkdir()
            size_bytes = link_tree(folder, growing, prefix, beat)
            with self._set_aside(target):
                self._rename(growing, target)
        return size_bytes

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """See `Storage.list`."""
        self._require_marker()
        folder = self._path(prefix) if prefix else self._root
        if folder.is_file():
            yield self.stat(prefix)
        for path in _files_below(folder):
            key = path.relative_to(self._root).as_posix()
            try:
                yield self.stat(key)
            except ObjectMissing:  # deleted since the folder was read
                continue

    def delete_prefix(self, prefix: str) -> int:
        """See `Storage.delete_prefix`; the objects disappear in one step."""
        target = self._path(prefix)
        size_bytes = sum(found.size_bytes for found in self.list(prefix))
        with self._set_aside(target):
            pass
        return size_bytes

    def remove_unfinished(self, *, older_than_sec: float, dry_run: bool = False) -> int:
        """See `Storage.remove_unfinished`."""
        self._require_marker()
        size_bytes = 0
        for path in self._incoming.iterdir():
            with suppress(FileNotFoundError):  # its writer has just finished
                if _untouched_sec(path) > older_than_sec:
                    size_bytes += _size_of(path)
                    if not dry_run:
                        _remove(path)
        return size_bytes

    def local_path(self, key: str) -> Path | None:
        """See `Storage.local_path`."""
        self.stat(key)
        return self._path(key)

    def presign_get(self, key: str, *, expires_sec: int) -> str | None:  # noqa: ARG002
        """See `Storage.presign_get`."""
        check_key(key)
        return None

    @property
    def origins(self) -> frozenset[str]:
        """See `Storage.origins`."""
        return frozenset()

    def start_multipart(self, key: str) -> Multipart:
        """See `TakesParts.start_multipart`."""
        multipart = Multipart(check_key(key), uuid.uuid4().hex)
        self._parts(multipart).make()
        return multipart

    def put_part(
        self, multipart: Multipart, number: int, offset: int, chunks: Iterable[bytes]
    ) -> Part:
        """See `TakesParts.put_part`.

        A part is written twice. The first file is never flushed and soon removed, so it costs
        memory more than the disk.
        """
        with self._scratch() as growing:
            with growing.open("wb") as file:
                digest = sha256()
                for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
            part = Part(number, growing.stat().st_size, digest.hexdigest())
            with self._refusing_only_while_there():
                self._parts(multipart).put(part, growing, offset)
        return part

    def presign_part(
        self,
        multipart: Multipart,  # noqa: ARG002
        number: int,  # noqa: ARG002
        *,
        size_bytes: int,  # noqa: ARG002
        md5: str | None,  # noqa: ARG002
        expires_sec: int,  # noqa: ARG002
    ) -> SignedRequest | None:
        """See `TakesParts.presign_part`."""
        return None

    def list_parts(self, multipart: Multipart, *, only: int | None = None) -> Sequence[Part] | None:
        """See `TakesParts.list_parts`."""
        with self._refusing_only_while_there():
            arrived = self._parts(multipart).arrived()
        return [part for part in arrived if only in (None, part.number)]

    def complete_multipart(self, multipart: Multipart, parts: Sequence[Part]) -> None:
        """See `TakesParts.complete_multipart`; nothing is copied."""
        target = self._path(multipart.key)
        try:
            with self._parts(multipart).assembled(list(parts)) as content:
                self._rename(content, target)
        except PartsRefused:
            self._require_marker()
            if not target.is_file():  # if it is a file, an earlier call completed it
                raise
            self.abort_multipart(multipart)

    def abort_multipart(self, multipart: Multipart) -> None:
        """See `TakesParts.abort_multipart`."""
        self._parts(multipart).remove()

    def _parts(self, multipart: Multipart) -> PartsFolder:
        if not _MULTIPART_ID.fullmatch(multipart.id):
            raise PartsRefused("no multipart upload has such an id")
        self._require_marker()
        return PartsFolder(self._incoming / multipart.id)

    def _path(self, key: str) -> Path:
        path = self._root / check_key(key)
        self._require_marker()
        return path

    def _require_marker(self) -> None:
        if not (self._root / MARKER).is_file():
            raise StorageAway(
                f"{self._root} has no {MARKER}: it is not mounted, or not prepared "
                "(python -m pipeline.storage.prepare)"
            )

    @contextmanager
    def _refusing_only_while_there(self) -> Iterator[None]:
        """Raise ``StorageAway`` in place of ``PartsRefused`` if the disk has gone meanwhile."""
        try:
            yield
        except PartsRefused:
            self._require_marker()
            raise

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """Give a new path in `.incoming`; remove its content at the end."""
        self._require_marker()
        path = self._incoming / uuid.uuid4().hex
        try:
            yield path
        finally:
            _remove(path)

    @contextmanager
    def _set_aside(self, target: Path) -> Iterator[None]:
        """Move the target away; remove it at the end, or move it back after a failure."""
        with self._scratch() as aside:
            try:
                target.rename(aside)
            except (FileNotFoundError, NotADirectoryError):
                yield
                return
            try:
                yield
            except BaseException:
                aside.rename(target)
                raise
            flush_folder(target.parent)

    def _rename(self, source: Path, target: Path) -> None:
        self._require_marker()  # else the folders would be made in the empty folder of a lost disk
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            # A file system cannot hold both `a` and `a/b`; only S3 would accept it.
            raise KeyRefused("another object stands in the way of this key") from error
        flush_folder(target.parent)


def prepare_folder(root: Path) -> None:
    """Make the folder of a storage, and mark it; safe to repeat.

    Only a set-up calls this, while the disk is mounted.

    Raises:
        OSError: the folder cannot be made or written.
    """
    (root / _INCOMING).mkdir(parents=True, exist_ok=True)
    marker = root / MARKER
    if not marker.is_file():
        marker.write_text(_MARKER_TEXT)
        with marker.open("rb") as file:
            os.fsync(file.fileno())
        flush_folder(root)


def _object_stat(key: str, found: os.stat_result) -> Stat:
    return Stat(
        key=key,
        size_bytes=found.st_size,
        # With the inode, because a new file may replace the content within one clock tick.
        etag=f'"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"',
        content_type=content_type_of(key),
        modified_at=datetime.fromtimestamp(found.st_mtime, UTC),
    )


def _slices(path: Path, start: int, stop: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        left = stop - start
        while left > 0 and (chunk := file.read(min(_CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield the files in the order of their keys, without hidden names.

    Raises:
        OSError: A folder cannot be read. It must not pass for an empty one.
    """
    found = []
    for parent, folders, names in os.walk(folder, onerror=_raise_unless_gone):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in names if not name.startswith(".")]
    yield from sorted(found, key=Path.as_posix)


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _untouched_sec(path: Path) -> float:
    """Return the seconds since the last write or move; a move changes `st_ctime` only."""
    found = path.stat()
    return time.time() - max(found.st_mtime, found.st_ctime)


def _size_of(path: Path) -> int:
    files = _files_below(path) if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
