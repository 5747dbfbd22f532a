"""A flag that tells the processes of a worker that it was told to stop.

Celery tells its main process alone, and waits until the tasks of the others end by themselves. The
memory of the flag is shared, because it is made before they are forked.
"""

from mmap import mmap

from celery.signals import worker_shutting_down

_shared = mmap(-1, 1)


def is_stopping() -> bool:
    """Return True once the worker was told to stop."""
    return _shared[0] != 0


def _raise_flag(**_: object) -> None:
    _shared[0] = 1


worker_shutting_down.connect(_raise_flag)
