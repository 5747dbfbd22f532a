"""Local file for a stored object, so that ffprobe can open it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.media.own_folder import own_folder
from pipeline.media.sample import sample_source
from pipeline.media.source_limits import MediaRefused
from pipeline.storage.base import Storage

SAMPLE = "khronika-source-"
"""Beginning of the names of the folders of samples."""
_END_BYTES = 4 * 1024**2


@contextmanager
def probeable(storage: Storage, key: str) -> Iterator[Path]:
    """Yield a file that `probe` measures like the object.

    It is the object itself if the storage is a folder. Otherwise it is a sparse sample: at most
    64 MiB are read of an object of any size.

    Raises:
        ObjectMissing: the object does not exist.
        MediaRefused: the refusals of `sample_source`.
        OSError: the storage or the disk of the sample failed.
    """
    path = storage.local_path(key)
    if path is not None:
        try:
            yield path
        except MediaRefused:
            # ffprobe reads the file itself, and tells a bad disk from a bad file as little as a
            # file that it may not open.
            _require_readable(storage, key)
            raise
        return
    size_bytes = storage.stat(key).size_bytes
    with own_folder(SAMPLE) as folder:
        sample = folder / "source"
        sample_source(
            lambda offset, length: b"".join(storage.read(key, offset, offset + length)),
            size_bytes,
            sample,
        )
        yield sample


def _require_readable(storage: Storage, key: str) -> None:
    """Read both ends of an object, where the index of a video lies.

    Raises:
        ObjectMissing: The object is gone.
        OSError: The storage cannot read it.
    """
    size_bytes = storage.stat(key).size_bytes
    for start in (0, max(0, size_bytes - _END_BYTES)):
        for _ in storage.read(key, start, start + _END_BYTES):
            pass
