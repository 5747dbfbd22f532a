"""A folder in which one object grows out of its parts.

Each part is copied to its offset in one sparse file, and an empty file beside it then says by its
name that the part is there, whole. So the object is complete with a rename, whatever its size. A
part that replaces another takes that name away first: a copy that is cut off counts as absent.

A lock on the folder keeps one part at a time and completion apart, also between processes; the
kernel lets go of it when its holder dies (flock(2)).
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

    def __init__(self, place: Path) -> None:
        self._place = place
        self._content = place / _CONTENT

    def make(self) -> None:
        """Begin without any part."""
        self._place.mkdir()

    def put(self, part: Part, staged: Path, offset: int) -> None:
        """Copy a part from a file of its own to its place in the object; safe to repeat.

        Raises:
            PartsRefused: the folder is gone.
        """
        with self._alone():
            if (self._place / _name(part)).exists():
                return
            self._forget(part.number)
            descriptor = os.open(self._content, os.O_WRONLY | os.O_CREAT, 0o666)
            with os.fdopen(descriptor, "wb") as content, staged.open("rb") as source:
                content.seek(offset)
                shutil.copyfileobj(source, content, 1024 * 1024)
                content.flush()
                os.fsync(content.fileno())
            (self._place / _name(part)).touch()
            flush_folder(self._place)

    def arrived(self) -> list[Part]:
        """The parts that are there, by number.

        Raises:
            PartsRefused: the folder is gone.
        """
        try:
            names = [path.name for path in self._place.iterdir()]
        except FileNotFoundError as error:
            raise PartsRefused("there is no such multipart upload") from error
        return sorted(
            (_part(name) for name in names if name != _CONTENT), key=lambda part: part.number
        )

    @contextmanager
    def assembled(self, parts: list[Part]) -> Iterator[Path]:
        """Give the file that all parts are in, for the caller to move; then remove the folder.

        Raises:
            PartsRefused: the folder is gone, or a part is not there.
        """
        with self._alone():
            if not self._content.exists() or self.arrived() != parts:
                raise PartsRefused("a part has been replaced, or never was there")
            yield self._content
            shutil.rmtree(self._place)

    def remove(self) -> None:
        """Remove the parts, or what is left of them."""
        try:
            with self._alone():
                shutil.rmtree(self._place)
        except PartsRefused:
            return

    def _forget(self, number: int) -> None:
        earlier = [part for part in self.arrived() if part.number == number]
        for part in earlier:
            (self._place / _name(part)).unlink()
        if earlier:
            flush_folder(self._place)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            descriptor = os.open(self._place, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError as error:
            raise PartsRefused("there is no such multipart upload") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if not self._place.exists():  # removed by whom we waited for
                raise PartsRefused("this multipart upload has ended")
            yield
        finally:
            os.close(descriptor)


def flush_folder(folder: Path) -> None:
    """Make what was named or renamed in a folder survive a power cut."""
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
