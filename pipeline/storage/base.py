"""What a place that keeps objects can do, whichever driver stands behind it.

An object is named by a key such as `processed/1f…/2a…/720p/seg_00000.m4s`: segments joined by
slashes. A prefix is a whole-segment folder of keys: `a/b` holds `a/b/c` and not `a/bc`. Objects
are immutable to their readers: a key is written whole or not at all.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pipeline.storage.multipart import TakesParts

MAX_KEY_CHARS = 1024  # S3's own bound, in bytes; keys are ASCII but for file names
_MAX_SEGMENT_BYTES = 255  # the longest file name of ext4, XFS and APFS
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")


class StorageError(Exception):
    """Something the storage refuses or lacks; trouble of the medium itself is an `OSError`."""


class KeyRefused(StorageError):
    """The key could name something outside the storage, or nothing at all."""


class ObjectMissing(StorageError):
    """There is no object of that key."""


class ContentTooLarge(StorageError):
    """The content went on past its limit; nothing of it was kept."""


class PartsRefused(StorageError):
    """These are not the parts that are there, or there is no such multipart upload any more."""


@dataclass(frozen=True)
class Stat:
    """One stored object."""

    key: str
    size_bytes: int
    etag: str  # quoted and strong, as in an HTTP header; changes whenever the content may have
    content_type: str
    modified_at: datetime  # in UTC


class Storage(TakesParts, Protocol):
    """A driver. Every method checks its keys and may raise `KeyRefused` or `OSError`."""

    def write(self, key: str, chunks: Iterable[bytes], *, max_bytes: int | None = None) -> Stat:
        """Store an object from a stream, replacing one of that key in a single step.

        Nobody ever reads a part of it, whatever breaks, and a failure leaves nothing behind.

        Args:
            key: where to.
            chunks: the content; what it raises passes through.
            max_bytes: the most the content may have; None for no bound.

        Raises:
            ContentTooLarge: the content is larger; it is read no further than that takes.
        """
        ...

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream the bytes from `start` up to, but not including, `end` (None: the last one).

        A range past the end is cut to what there is, as slices are.

        Raises:
            ObjectMissing: at the call, not at the first chunk.
        """
        ...

    def stat(self, key: str) -> Stat:
        """Describe an object.

        Raises:
            ObjectMissing: there is none.
        """
        ...

    def publish_folder(
        self, folder: Path, prefix: str, *, beat: Callable[[], object] = lambda: None
    ) -> int:
        """Store every file below a local folder under a prefix.

        What was under the prefix before is gone afterwards. A driver that cannot do it in one step
        stores playlists last: who can read one can read what it lists. A failure may then leave
        part of the folder; publishing it again makes it whole, `delete_prefix` removes it. The
        folder itself is left alone; its files must not be written to any more, for the storage
        may share them.

        Args:
            folder: What to store.
            prefix: Where to.
            beat: Called every second or more often while it lasts; what it raises ends it.

        Returns:
            The bytes stored.

        Raises:
            KeyRefused: the folder holds a link, a device, or a name no key may have.
        """
        ...

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """Describe every object under a prefix, the whole storage for "", in order of keys."""
        ...

    def delete_prefix(self, prefix: str) -> int:
        """Remove every object under a prefix, or the one object of that key.

        Returns:
            The bytes reclaimed; 0 when there was nothing, so it is safe to repeat.
        """
        ...

    def remove_unfinished(self, *, older_than_sec: float, dry_run: bool = False) -> int:
        """Remove what killed writers have left behind: it never was an object, and never will be.

        That includes multipart uploads that were never completed.

        Args:
            older_than_sec: Longer than any writer may take; what has changed since stays.
            dry_run: Only say what would go.

        Returns:
            The bytes reclaimed.
        """
        ...

    def local_path(self, key: str) -> Path | None:
        """The file behind a key where a program may open it; None if the driver has no files.

        Raises:
            ObjectMissing: there is no such object.
        """
        ...

    def presign_get(self, key: str, *, expires_sec: int) -> str | None:
        """Give a URL that reads the object for a while, whether or not there is one.

        None if the driver serves nobody: the API reads the object out itself.
        """
        ...

    @property
    def origins(self) -> frozenset[str]:
        """Where the addresses of `presign_get` may lead: scheme, host and maybe port of each."""
        ...


def bounded(chunks: Iterable[bytes], max_bytes: int | None) -> Iterator[bytes]:
    """Pass chunks on.

    Raises:
        ContentTooLarge: they go on past the bound; no more of them is taken.
    """
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if max_bytes is not None and total > max_bytes:
            raise ContentTooLarge(f"more than {max_bytes} bytes")
        yield chunk


def check_key(key: str) -> str:
    """Return the key as it is if any driver can hold it.

    A segment never begins with a dot: that rules out `.` and `..` and keeps such names for the
    drivers' own use.

    Raises:
        KeyRefused: it says what is wrong, without quoting the key.
    """
    if not key or len(key) > MAX_KEY_CHARS:
        raise KeyRefused(f"a key has 1 to {MAX_KEY_CHARS} characters")
    if _FORBIDDEN.search(key):
        raise KeyRefused("a key holds no control characters and no backslash")
    for segment in key.split("/"):
        if not segment or segment.startswith("."):
            raise KeyRefused("a segment of a key is not empty and does not begin with a dot")
        if len(_encoded(segment)) > _MAX_SEGMENT_BYTES:
            raise KeyRefused(f"a segment of a key has at most {_MAX_SEGMENT_BYTES} bytes")
    return key


def _encoded(segment: str) -> bytes:
    try:
        return segment.encode()
    except UnicodeEncodeError as error:  # a lone surrogate: no file system stores it as it is
        raise KeyRefused("a key is valid Unicode") from error
