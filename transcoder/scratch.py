"""Folders of work in progress, one per claim of a job, and the slots that bound their number."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from transcoder.store import Lease

_SLOTS = ".slots"
_SUSPECT = "suspect"
_SUSPECT_WAITS_SEC = 15  # a waiting suspect is woken again by every sweep
_RESERVED = ".reserved"


@dataclass(frozen=True)
class ClaimFolder:
    """Folder of one claim.

    Attributes:
        lease: The claim.
        folder: The claim's folder, in use or left over.
    """

    lease: Lease
    folder: Path

    @property
    def reserved_bytes(self) -> int:
        """Bytes reserved for it; 0 if the folder is gone or nothing is reserved yet."""
        try:
            return int((self.folder / _RESERVED).read_text())
        except (OSError, ValueError):
            return 0

    @property
    def used_bytes(self) -> int:
        """Bytes it holds now."""
        # Not rglob: it raises when a folder disappears during the walk, and these do.
        walk = os.walk(self.folder)
        return sum(_size_of(Path(at, name)) for at, _, names in walk for name in names)


@contextmanager
def workdir(scratch: Path, lease: Lease, reserved_bytes: int = 0) -> Iterator[Path]:
    """Make an empty folder for one claim; remove it with its content when the block ends.

    Folders of earlier claims of the job are removed first: no worker uses them any more.
    """
    for earlier in scratch.glob(f"{lease.job_id}.*"):
        shutil.rmtree(earlier, ignore_errors=True)
    folder = scratch / f"{lease.job_id}.{lease.token}"
    folder.mkdir(mode=0o700)
    try:
        reserve(folder, reserved_bytes)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # the sweep removes the rest


def reserve(folder: Path, size_bytes: int) -> None:
    """Reserve the bytes that a claim may need, so that other jobs leave room for them.

    The reservation is a file in the claim's folder and not a row: space belongs to a machine, and
    a reservation ends with its folder.
    """
    (folder / _RESERVED).write_text(str(size_bytes))


def claim_folders(scratch: Path) -> list[ClaimFolder]:
    """List the folders of all claims on this machine, lost workers' included."""
    leases = ((_lease_of(folder.name), folder) for folder in scratch.iterdir())
    return [ClaimFolder(lease, folder) for lease, folder in leases if lease is not None]


def abandoned_folders(
    scratch: Path, running_token: Callable[[UUID], int | None]
) -> list[ClaimFolder]:
    """List the folders of claims that no worker holds any more, as after a hard kill.

    Args:
        scratch: Folder of all claims' folders.
        running_token: Gives the lease token of a running job, None for any other.
    """
    return [c for c in claim_folders(scratch) if running_token(c.lease.job_id) != c.lease.token]


@contextmanager
def encode_slot(scratch: Path, count: int) -> Iterator[bool]:
    """Hold one of this machine's encode slots; yield False if all are taken.

    They also count as taken while a suspect waits for the whole machine. Slots are file locks,
    because the kernel releases them when a worker is killed.
    """
    (scratch / _SLOTS).mkdir(exist_ok=True)
    with ExitStack() as held:
        waits = _age_sec(scratch / _SLOTS / _SUSPECT) < _SUSPECT_WAITS_SEC
        yield not waits and any(_locks(held, scratch, number) for number in range(count))


@contextmanager
def whole_machine(scratch: Path, count: int) -> Iterator[bool]:
    """Hold all of this machine's encode slots, for a job whose earlier worker was lost.

    Yield False if one is taken; no other job then gets one for a while.
    """
    (scratch / _SLOTS).mkdir(exist_ok=True)
    with ExitStack() as held:
        is_free = all(_locks(held, scratch, number) for number in range(count))
        if is_free:
            (scratch / _SLOTS / _SUSPECT).unlink(missing_ok=True)
        else:
            held.close()
            (scratch / _SLOTS / _SUSPECT).touch()
        yield is_free


def _locks(held: ExitStack, scratch: Path, number: int) -> bool:
    file = held.enter_context((scratch / _SLOTS / str(number)).open("a"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _age_sec(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _lease_of(name: str) -> Lease | None:
    job_id, _, token = name.partition(".")
    try:
        return Lease(UUID(job_id), int(token))
    except ValueError:
        return None


def _size_of(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # ffmpeg renames and removes files during the walk
        return 0
