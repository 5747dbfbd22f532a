"""Protocol of a storage of objects, which each driver implements.

The key of an object consists of segments joined by slashes, such as
`processed/1f…/2a…/720p/seg_00000.m4s`. A prefix consists of whole segments: `a/b` holds `a/b/c`
and not `a/bc`. An object is written whole or not at all, so that readers never see a part of it.
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
    """The storage refuses a request or lacks an object; a failure of the medium is an `OSError`."""


class KeyRefused(StorageError):
    """The key is empty, malformed, or could name something outside the storage."""


class ObjectMissing(StorageError):
    """There is no object with that key."""


class StorageAway(OSError):
    """The folder of a storage lacks its marker: it is not mounted, or was never prepared."""


class ContentTooLarge(StorageError):
    """The content exceeds its limit; nothing of it was kept."""


class PartsRefused(StorageError):
    """The stored parts differ from the named ones, or the multipart upload has ended."""


@dataclass(frozen=True)
class Stat:
    """One stored object."""

    key: str
    size_bytes: int
    etag: str  # quoted and strong, as in an HTTP header; another one for changed content
    content_type: str
    modified_at: datetime  # in UTC


class Storage(TakesParts, Protocol):
    """A driver. Every method checks its keys and may raise `KeyRefused` or `OSError`."""

    def write(self, key: str, chunks: Iterable[bytes], *, max_bytes: int | None = None) -> Stat:
        """Store an object from a stream; replace an existing one in a single step.

        A failure leaves nothing behind, and no reader sees a part of the object.

        Args:
            key: key of the object.
            chunks: the content; its exceptions pass through.
            max_bytes: largest accepted size; None for no limit.

        Raises:
            ContentTooLarge: the content exceeds the limit; the rest of it is not read.
        """
        ...

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream the bytes from `start` up to `end`, which is excluded; None stands for the end.

        A range past the end is cut, like a slice.

        Raises:
            ObjectMissing: there is no such object; raised at the call, not at the first chunk.
        """
        ...

    def stat(self, key: str) -> Stat:
        """Describe an object.

        Raises:
            ObjectMissing: there is no such object.
        """
        ...

    def publish_folder(
        self, folder: Path, prefix: str, *, beat: Callable[[], object] = lambda: None
    ) -> int:
        """Store every file below a local folder under a prefix.

        Objects that were under the prefix before are removed. A driver that cannot do this in one
        step stores playlists last, after the files they list; a failure may then leave part of the
        folder. A repetition completes it, `delete_prefix` removes it. The folder stays; its files
        must not be changed any more, because the storage may share them by links.

        Args:
            folder: Folder to store.
            prefix: Prefix of the keys.
            beat: Called at least once a second; an exception of it ends the storing.

        Returns:
            The bytes stored.

        Raises:
            KeyRefused: the folder holds a link, a device, or a name that no key may have.
        """
        ...

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """Describe the objects under a prefix in the order of keys; "" stands for all objects."""
        ...

    def delete_prefix(self, prefix: str) -> int:
        """Remove every object under a prefix, or the object with that key; safe to repeat.

        Returns:
            The bytes reclaimed.
        """
        ...

    def remove_unfinished(self, *, older_than_sec: float, dry_run: bool = False) -> int:
        """Remove the content of killed writers and of multipart uploads that never completed.

        Args:
            older_than_sec: Age of content to remove; longer than any writer may take.
            dry_run: Remove nothing; only return the bytes.

        Returns:
            The bytes reclaimed.
        """
        ...

    def local_path(self, key: str) -> Path | None:
        """Return the file of an object for a program to open; None if the driver has no files.

        Raises:
            ObjectMissing: there is no such object.
        """
        ...

    def presign_get(self, key: str, *, expires_sec: int) -> str | None:
        """Return a URL that reads the object for a while, also for an object that is missing.

        None if the driver has no server: the API then serves the object itself.
        """
        ...

    @property
    def origins(self) -> frozenset[str]:
        """Origins of the addresses of `presign_get`: scheme, host and an optional port."""
        ...


def bounded(chunks: Iterable[bytes], max_bytes: int | None) -> Iterator[bytes]:
    """Yield the chunks up to a limit.

    Raises:
        ContentTooLarge: the chunks exceed the limit; the rest is not read.
    """
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if max_bytes is not None and total > max_bytes:
            raise ContentTooLarge(f"more than {max_bytes} bytes")
        yield chunk


def check_key(key: str) -> str:
    """Return the key if every driver can store it.

    A segment never begins with a dot: this excludes `.` and `..` and reserves such names for the
    drivers.

    Raises:
        KeyRefused: the message names the fault without the key.
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
    except UnicodeEncodeError as error:  # a lone surrogate
        raise KeyRefused("a key is valid Unicode") from error
