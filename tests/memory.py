"""How much memory processes take, from proc(5)."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def memory_bytes(field: str, pid: int | str = "self") -> int:
    """`VmRSS` is what is resident, `VmHWM` its peak."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(field))
    return int(line.split()[1]) * 1024


class Growth:
    """What processes grow by, from here on."""

    def __init__(self, pids: Iterable[int | str]) -> None:
        self._before: dict[int | str, int] = {}
        for pid in pids:
            with suppress(OSError, ValueError):  # it has ended
                Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak starts over
                self._before[pid] = memory_bytes("VmRSS", pid)
        assert self._before

    def most_bytes(self) -> int:
        """By how much the one has grown that grew most, at its peak; of those that still run."""
        grown = [0]
        for pid, before in self._before.items():
            with suppress(OSError, ValueError):
                grown.append(memory_bytes("VmHWM", pid) - before)
        return max(grown)
