"""Plan of an upload in parts: their number, sizes and offsets."""

from dataclasses import dataclass
from math import ceil

MIB = 1024 * 1024

SINGLE_BELOW_BYTES = 16 * MIB
"""A smaller file is sent in one request, because repeating it costs less than resuming it."""
MAX_PARTS = 1000
"""Most parts of one file: it bounds the memory of a client. S3 allows ten times as many."""


@dataclass(frozen=True)
class PartPlan:
    """Parts of equal size, except for the last, which has the rest.

    Attributes:
        size_bytes: Size of the whole file; at least 1.
        part_size_bytes: Size of every part except the last.
    """

    size_bytes: int
    part_size_bytes: int

    @property
    def count(self) -> int:
        """The number of parts."""
        return ceil(self.size_bytes / self.part_size_bytes)

    def has(self, number: int) -> bool:
        """Return true if the file has a part of that number; the first is 1."""
        return 1 <= number <= self.count

    def offset_of(self, number: int) -> int:
        """Return the offset of a part's first byte in the file."""
        return (number - 1) * self.part_size_bytes

    def size_of(self, number: int) -> int:
        """Return the size of a part, in bytes."""
        return min(self.part_size_bytes, self.size_bytes - self.offset_of(number))


def part_size_for(size_bytes: int, *, least_bytes: int) -> int | None:
    """Return the size of the parts of a file; None if it is sent in one request.

    Args:
        size_bytes: Size of the file.
        least_bytes: The usual size of a part; very large files have larger parts, in whole MiB.
    """
    if size_bytes < SINGLE_BELOW_BYTES:
        return None
    return max(least_bytes, ceil(size_bytes / MAX_PARTS / MIB) * MIB)
