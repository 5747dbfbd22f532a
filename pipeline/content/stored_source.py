"""Local file for a stored object, so that ffprobe can open it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.content.sample_folder import sample_folder
from pipeline.media.sample import sample_source
from pipeline.storage.base import Storage


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
        yield path
        return
    size_bytes = storage.stat(key).size_bytes
    with sample_folder() as folder:
        sample = folder / "source"
        sample_source(
            lambda offset, length: b"".join(storage.read(key, offset, offset + length)),
            size_bytes,
            sample,
        )
        yield sample
