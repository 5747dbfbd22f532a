"""Admission of jobs by free scratch space.

The check is made twice: when a job is put, so that the client learns at once of a refusal, and when
a worker claims it, because the space may have been used meanwhile. Two checks at the same instant
may both succeed. Then the disk may become full, which an encode reports (`encode_source.py`).
"""

import shutil
from errno import EDQUOT, ENOSPC
from pathlib import Path
from uuid import UUID

from transcoder.encode.free_files import has_no_files
from transcoder.scratch import ClaimFolder, claim_folders

FULL = frozenset({ENOSPC, EDQUOT})
"""Error numbers of a full disk, and of a used-up quota on it."""

LADDER_FACTOR = 4
"""Bytes of renditions, fallback and pictures for each byte of source. `bench.encode_cost` measured
3.5 for the sample clip (720p at 1.6 Mbit/s, smaller than cameras write) and 0.2 for 3840x2160
HEVC as a phone records it. A source compressed harder may exceed it and fill the disk."""

SMALLEST_BYTES = 16 * 1024**2
"""Added to every estimate: eight seconds of a 1080p ladder at its ceilings, since a still picture
of a few kilobytes can become that. It is the whole estimate for a source of unknown size."""


def needed_bytes(source_size_bytes: int | None) -> int:
    """Estimate the scratch space of a job: its source and all outputs."""
    return SMALLEST_BYTES + (1 + LADDER_FACTOR) * (source_size_bytes or 0)


def has_room(scratch: Path, quota_bytes: int | None, job_id: UUID, needed: int) -> bool:
    """Check that a job fits beside the reservations of this machine's running jobs.

    Args:
        scratch: Folder of work in progress.
        quota_bytes: Bytes that all jobs together may use; None leaves the bound to the disk.
        job_id: The job; folders of its earlier claims count as free, since its start removes them.
        needed: Bytes.
    """
    if has_no_files(scratch):
        return False
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
