"""Folders of work in progress, one per claim of a job, and the slots that bound how many."""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from transcoder.store import Lease

_SLOTS = ".slots"


@contextmanager
def workdir(scratch: Path, lease: Lease) -> Iterator[Path]:
    """An empty folder for one claim, removed with everything in it however the block ends."""
    folder = scratch / f"{lease.job_id}.{lease.token}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what resists is the sweep's


def remove_leftovers(scratch: Path, token_in_hand: Callable[[UUID], int | None]) -> list[Path]:
    """Remove the folders of claims that nobody works under any more, as after a hard kill.

    Args:
        scratch: Where the folders are.
        token_in_hand: The token a job is being worked on under, None when it is not.

    Returns:
        What was removed.
    """
    removed = []
    for folder in scratch.iterdir():
        lease = _lease_of(folder.name)
        if lease is not None and token_in_hand(lease.job_id) != lease.token:
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder)
    return removed


@contextmanager
def slot(scratch: Path, count: int) -> Iterator[bool]:
    """Hold one of this machine's places to encode in; False when all are taken.

    File locks, because the kernel gives them back when a worker is killed.
    """
    (scratch / _SLOTS).mkdir(exist_ok=True)
    for number in range(count):
        with (scratch / _SLOTS / str(number)).open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield True
            return
    yield False


def _lease_of(name: str) -> Lease | None:
    job_id, _, token = name.partition(".")
    try:
        return Lease(UUID(job_id), int(token))
    except ValueError:
        return None
