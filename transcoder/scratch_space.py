"""Is there room in scratch for another job?

Asked twice: when a job is put, so that a client whose job cannot be taken hears it at once, and
when a worker takes it up, because what was free then may be taken now. Two that ask at the same
instant may both be let in; then the disk decides, and an encode survives a full one (`produce.py`).
"""

import shutil
from errno import EDQUOT, ENOSPC
from pathlib import Path
from uuid import UUID

from transcoder.scratch import ClaimFolder, claim_folders

FULL = frozenset({ENOSPC, EDQUOT})
"""How the system says that a disk, or our share of it, is full."""

LADDER_FACTOR = 4
"""Bytes of renditions, fallback and pictures for each byte of source. Measured by `bench.encode`:
3.5 for the sample clip (720p at 1.6 Mbit/s, tighter than what cameras write), 0.2 for 3840x2160
HEVC as a phone records it. A tighter source may outgrow it, and meets a full disk at worst."""

SMALLEST_BYTES = 16 * 1024**2
"""Added to every estimate: eight seconds of a 1080p ladder at its ceilings, since a still picture
of a few kilobytes can become that; and all there is to go by where no size is known."""


def needed_bytes(source_size_bytes: int | None) -> int:
    """The scratch space that a job may come to take: its source, and what is made of it."""
    return SMALLEST_BYTES + (1 + LADDER_FACTOR) * (source_size_bytes or 0)


def has_room(scratch: Path, quota_bytes: int | None, job_id: UUID, needed: int) -> bool:
    """Whether a job fits beside what this machine's running jobs have reserved.

    Args:
        scratch: Folder of work in progress.
        quota_bytes: What all jobs together may take; None leaves it to the disk.
        job_id: The job; what an earlier claim of it left is removed when it starts.
        needed: Bytes.
    """
    everyone = claim_folders(scratch)
    own = [claim for claim in everyone if claim.lease.job_id == job_id]
    others = [claim for claim in everyone if claim.lease.job_id != job_id]
    free = shutil.disk_usage(scratch).free + sum(claim.used_bytes for claim in own)
    if needed > free - sum(_still_to_write(claim) for claim in others):
        return False
    taken = sum(max(claim.reserved_bytes, claim.used_bytes) for claim in others)
    return quota_bytes is None or needed <= quota_bytes - taken


def _still_to_write(claim: ClaimFolder) -> int:
    return max(0, claim.reserved_bytes - claim.used_bytes)
