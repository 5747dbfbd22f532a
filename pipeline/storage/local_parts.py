"""Folder in which one object is assembled from its parts.

Each part is copied to its offset in one sparse file; an empty file beside it, named for the part,
then records that the part is complete. A rename therefore completes an object of any size. A part
that replaces another removes that record first, so that an interrupted copy counts as absent.

A lock on the folder admits one part or the completion at a time, also between processes. The kernel
releases it if its holder dies (flock(2)).
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.storage.base import PartsRefused
from pipeline.storage.multipart import Part

_CONTENT = "content"


class PartsFolder:
    """The parts of one object, in a folder made by `make`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._content = folder / _CONTENT

    def make(self) -> None:
        """Make the folder, without any part."""
        self._folder.mkdir()

    def put(self, part: Part, staged: Path, offset: int) -> None:
        """Copy a part from its own file to its offset in the object; safe to repeat.

        Raises:
            PartsRefused: the folder is gone.
        """
        with self._alone():
            if (self._folder / _name(part)).exists():
                return
            self._forget(part.number)
            descriptor = os.open(self._content, os.O_WRONLY | os.O_CREAT, 0o666)
            with os.fdopen(descriptor, "wb") as content, staged.open("rb") as source:
                content.seek(offset)
                shutil.copyfileobj(source, content, 1024 * 1024)
                content.flush()
                os.fsync(content.fileno())
            (self._folder / _name(part)).touch()
            flush_folder(self._folder)

    def arrived(self) -> list[Part]:
        """Return the complete parts, by number.

        Raises:
            PartsRefused: the folder is gone.
        """
        try:
            names = [path.name for path in self._folder.iterdir()]
        except FileNotFoundError as error:
            raise PartsRefused("there is no such multipart upload") from error
        return sorted(
            (_part(name) for name in names if name != _CONTENT), key=lambda part: part.number
        )

    @contextmanager
    def assembled(self, parts: list[Part]) -> Iterator[Path]:
        """Give the file of all parts, for the caller to move; then remove the folder.

        Raises:
            PartsRefused: the folder is gone, or a part is missing.
        """
        with self._alone():
            if not self._content.exists() or self.arrived() != parts:
                raise PartsRefused("a part has been replaced or is missing")
            yield self._content
            shutil.rmtree(self._folder)

    def remove(self) -> None:
        """Remove the folder with the remaining parts."""
        try:
            with self._alone():
                shutil.rmtree(self._folder)
        except PartsRefused:
            return

    def _forget(self, number: int) -> None:
        earlier = [part for part in self.arrived() if part.number == number]
        for part in earlier:
            (self._folder / _name(part)).unlink()
        if earlier:
            flush_folder(self._folder)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError as error:
            raise PartsRefused("there is no such multipart upload") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if not self._folder.exists():  # the holder of the lock before us removed it
                raise PartsRefused("this multipart upload has ended")
            yield
        finally:
            os.close(descriptor)


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, so that they survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _name(part: Part) -> str:
    return f"{part.number}-{part.size_bytes}-{part.etag}"


def _part(name: str) -> Part:
    number, size_bytes, etag = name.split("-")
    return Part(int(number), int(size_bytes), etag)
