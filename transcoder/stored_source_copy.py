"""Copy of a source from a configured storage to scratch."""

from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.net.fetch import Version
from pipeline.net.fetch_errors import too_large, unreachable
from pipeline.net.responses import check_length, check_version
from pipeline.storage.base import ObjectMissing, Storage
from transcoder.storage_faults import blaming_the_storage


def copy_source(
    storage: Storage,
    key: str,
    to: Path,
    *,
    max_bytes: int,
    version: Version,
    beat: Callable[[], None],
) -> None:
    """Copy an object to a file, and report every piece.

    Raises:
        FetchRefused: The object is gone, too large, or another version than was measured; or it
            became shorter during the copy.
        StorageUnavailable: The storage failed.
        OSError: This machine's disk failed.
    """
    try:
        with blaming_the_storage():
            stat = storage.stat(key)
        size_bytes = stat.size_bytes
        if size_bytes > max_bytes:
            raise too_large(max_bytes)
        check_version(stat, version)
        written = 0
        with to.open("wb") as file:
            for piece in _pieces(storage, key, size_bytes):
                written += file.write(piece)
                beat()
        check_length(written, Version(size_bytes, stat.etag))
    except ObjectMissing as error:
        raise unreachable("the source is gone from the storage") from error


def _pieces(storage: Storage, key: str, size_bytes: int) -> Iterator[bytes]:
    with blaming_the_storage():
        yield from storage.read(key, 0, size_bytes)
