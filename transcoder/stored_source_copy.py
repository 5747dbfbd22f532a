"""Copy of a source from a configured storage to scratch."""

from collections.abc import Callable
from pathlib import Path

from pipeline.net.fetch import Version
from pipeline.net.fetch_errors import changed, too_large, unreachable
from pipeline.storage.base import ObjectMissing, Storage


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
        FetchRefused: The object is gone, too large, or another version than was measured.
        OSError: The storage or the disk failed.
    """
    try:
        stat = storage.stat(key)
        size_bytes = stat.size_bytes
        if size_bytes > max_bytes:
            raise too_large(max_bytes)
        if version not in {Version(s, e) for s in (None, size_bytes) for e in (None, stat.etag)}:
            raise changed("The object in the storage is not the one that was measured.")
        pieces = storage.read(key, 0, size_bytes)
        with to.open("wb") as file:
            for piece in pieces:
                file.write(piece)
                beat()
    except ObjectMissing as error:
        raise unreachable("the source is gone from the storage") from error
