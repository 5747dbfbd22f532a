"""Reader of our own outputs in the storage itself, for a check while our API does not answer."""

from typing import Protocol

from pipeline.net.fetch import Fetched, Remote, Version
from pipeline.net.fetch_errors import too_large, unreachable
from pipeline.storage.base import ObjectMissing, Storage


class StorageUnread(Exception):
    """Our own storage could not be read: no verdict on the file."""


class OutputReader(Protocol):
    """The part of a fetcher that the gate uses. Every method raises ``FetchRefused``."""

    def get(self, url: str, *, max_bytes: int) -> Fetched:
        """Return a small file whole."""
        ...

    def read(self, url: str, offset: int, length: int, version: Version | None = None) -> bytes:
        """Return a part of a file."""
        ...

    def size_of(self, url: str) -> Remote:
        """Describe a file."""
        ...


class StoredReader:
    """An ``OutputReader`` whose addresses are keys of the storage.

    Every method raises ``StorageUnread`` too.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def get(self, url: str, *, max_bytes: int) -> Fetched:
        """See ``OutputReader.get``."""
        size_bytes = self.size_of(url).size_bytes or 0
        if size_bytes > max_bytes:
            raise too_large(max_bytes)
        return Fetched(200, {}, self.read(url, 0, max(size_bytes, 1)))

    def read(self, url: str, offset: int, length: int, version: Version | None = None) -> bytes:  # noqa: ARG002
        """See ``OutputReader.read``; the files of an output never change."""
        try:
            return b"".join(self._storage.read(url, offset, offset + length))
        except ObjectMissing as error:
            raise unreachable("The file is not in the storage.") from error
        except OSError as error:
            raise StorageUnread(str(error)) from error

    def size_of(self, url: str) -> Remote:
        """See ``OutputReader.size_of``."""
        try:
            stat = self._storage.stat(url)
        except ObjectMissing as error:
            raise unreachable("The file is not in the storage.") from error
        except OSError as error:
            raise StorageUnread(str(error)) from error
        return Remote(stat.size_bytes, stat.etag, stat.content_type, True, url)
