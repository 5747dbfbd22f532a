"""How a file is cut into the parts it is uploaded in."""

from dataclasses import dataclass
from math import ceil

MIB = 1024 * 1024

SINGLE_BELOW_BYTES = 16 * MIB
"""A file smaller than this is sent in one request: to repeat it costs less than to resume it."""
MAX_PARTS = 1000
"""Of one file: bounds what a client has to remember; S3 allows ten times as many."""


@dataclass(frozen=True)
class PartPlan:
    """Parts of equal size, but for the last, which is what is left.

    Attributes:
        size_bytes: Of the whole file; at least 1.
        part_size_bytes: Of every part but the last.
    """

    size_bytes: int
    part_size_bytes: int

    @property
    def count(self) -> int:
        """How many parts there are."""
        return ceil(self.size_bytes / self.part_size_bytes)

    def has(self, number: int) -> bool:
        """Whether there is a part of that number; the first is 1."""
        return 1 <= number <= self.count

    def offset_of(self, number: int) -> int:
        """Where in the file a part begins."""
        return (number - 1) * self.part_size_bytes

    def size_of(self, number: int) -> int:
        """How many bytes a part has."""
        return min(self.part_size_bytes, self.size_bytes - self.offset_of(number))


def part_size_for(size_bytes: int, *, least_bytes: int) -> int | None:
    """The size of the parts of a file; None where it is sent in one request.

    Args:
        size_bytes: Of the file.
        least_bytes: The usual size of a part: larger files have larger ones, in whole MiB.
    """
    if size_bytes < SINGLE_BELOW_BYTES:
        return None
    return max(least_bytes, ceil(size_bytes / MAX_PARTS / MIB) * MIB)
