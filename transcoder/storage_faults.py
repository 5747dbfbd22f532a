"""Failures of a storage, told from those of this machine's own disk."""

from collections.abc import Iterator
from contextlib import contextmanager


class StorageUnavailable(Exception):
    """The storage could not be read or written; no fault of the job."""


@contextmanager
def blaming_the_storage() -> Iterator[None]:
    """Raise ``StorageUnavailable`` for every failure of the medium, a full one included."""
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(str(error)) from error
