"""Copy of a source from a configured storage to scratch."""

from collections.abc import Callable
from pathlib import Path

from pipeline.net.fetch import Version
from pipeline.net.fetch_errors import too_large, unreachable
from pipeline.net.responses import check_length, check_version
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
        FetchRefused: The object is gone, too large, or another version than was measured; or it
            became shorter during the copy.
        OSError: The storage or the disk failed.
    """
    try:
        stat = storage.stat(key)
        size_bytes = stat.size_bytes
        if size_bytes > max_bytes:
            raise too_large(max_bytes)
        check_version(stat, version)
        pieces = storage.read(key, 0, size_bytes)
        written = 0
        with to.open("wb") as file:
            for piece in pieces:
                written += file.write(piece)
                beat()
        check_length(written, Version(size_bytes, stat.etag))
    except ObjectMissing as error:
        raise unreachable("the source is gone from the storage") from error
