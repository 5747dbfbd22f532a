"""Folders of work in progress, one per claim of a job, and the slots that bound how many."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from transcoder.store import Lease

_SLOTS = ".slots"
_RESERVED = ".reserved"


@dataclass(frozen=True)
class ClaimFolder:
    """The folder of one claim.

    Attributes:
        lease: The claim.
        folder: Where it works, or worked.
    """

    lease: Lease
    folder: Path

    @property
    def reserved_bytes(self) -> int:
        """What it may come to take; 0 when it is gone, or has not said so yet."""
        try:
            return int((self.folder / _RESERVED).read_text())
        except (OSError, ValueError):
            return 0

    @property
    def used_bytes(self) -> int:
        """What it takes now."""
        # Not rglob: that raises when a folder disappears under its feet, as here they do.
        walk = os.walk(self.folder)
        return sum(_size_of(Path(at, name)) for at, _, names in walk for name in names)


@contextmanager
def workdir(scratch: Path, lease: Lease, reserved_bytes: int = 0) -> Iterator[Path]:
    """An empty folder for one claim, removed with everything in it however the block ends.

    What earlier claims of the job left goes first: nobody works under them any more.
    """
    for earlier in scratch.glob(f"{lease.job_id}.*"):
        shutil.rmtree(earlier, ignore_errors=True)
    folder = scratch / f"{lease.job_id}.{lease.token}"
    folder.mkdir(mode=0o700)
    try:
        reserve(folder, reserved_bytes)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what resists is the sweep's


def reserve(folder: Path, size_bytes: int) -> None:
    """Say how much a claim may come to take, for others to leave room.

    A file in its folder and no row: space is a machine's, and a reservation ends with its folder.
    """
    (folder / _RESERVED).write_text(str(size_bytes))


def claim_folders(scratch: Path) -> list[ClaimFolder]:
    """Every claim's folder on this machine, those of lost workers included."""
    leases = ((_lease_of(folder.name), folder) for folder in scratch.iterdir())
    return [ClaimFolder(lease, folder) for lease, folder in leases if lease is not None]


def abandoned_folders(
    scratch: Path, running_token: Callable[[UUID], int | None]
) -> list[ClaimFolder]:
    """The folders of claims that nobody works under any more, as after a hard kill.

    Args:
        scratch: Where the folders are.
        running_token: The token a job is being worked on under, None when it is not.
    """
    return [c for c in claim_folders(scratch) if running_token(c.lease.job_id) != c.lease.token]


@contextmanager
def encode_slot(scratch: Path, count: int) -> Iterator[bool]:
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


def _size_of(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # ffmpeg renames and removes while we look
        return 0
