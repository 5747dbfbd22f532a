"""An object in storage as a file that a prober can open."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.media.sample import sample_source
from pipeline.storage.base import Storage


@contextmanager
def probeable(storage: Storage, key: str) -> Iterator[Path]:
    """Give a file that `probe` measures as it would the object.

    The object itself where it is a file; else a sparse sample, of which at most 64 MiB are read,
    however large the object is.

    Raises:
        ObjectMissing: there is no such object.
        MediaRefused: as `sample_source` refuses.
        OSError: the storage or the disk of the sample is in trouble.
    """
    path = storage.local_path(key)
    if path is not None:
        yield path
        return
    size_bytes = storage.stat(key).size_bytes
    with TemporaryDirectory(prefix="khronika-source-") as folder:
        sample = Path(folder) / "source"
        sample_source(
            lambda offset, length: b"".join(storage.read(key, offset, offset + length)),
            size_bytes,
            sample,
        )
        yield sample
