"""Recordings that were joined into one file, whose clock begins again with each of them.

ffmpeg mends such a clock in transport streams and drops the later frames in other containers. Here
the packets of each later recording are moved behind those of the one before, by a filter of the
input that adds an offset from a packet's number on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

CONTAINERS = frozenset({"matroska", "webm", "flv"})
"""Containers whose packets ffmpeg gives in the order of the file, each with its stored time."""


@dataclass
class RecordedPart:
    """Packets of one track between two jumps backward.

    Attributes:
        first: Number of its first packet in the track.
        begin_sec: Earliest instant of a packet, on the stored clock.
        end_sec: Latest end of one.
        packets: Number of its packets.
    """

    first: int
    begin_sec: float
    end_sec: float
    packets: int = 1

    def take(self, at_sec: float, length_sec: float) -> None:
        """Take a further packet."""
        self.begin_sec = min(self.begin_sec, at_sec)
        self.end_sec = max(self.end_sec, at_sec + length_sec)
        self.packets += 1

    @property
    def until_sec(self) -> float:
        """The end, with a frame for a container that does not tell the length of its packets."""
        return self.end_sec + (self.end_sec - self.begin_sec) / max(1, self.packets)


def offsets_of(tracks: Sequence[Sequence[RecordedPart]]) -> list[float] | None:
    """Return the seconds by which the parts of the played tracks move; None if they differ.

    Parts of the same number in each track belong to one recording. They move together, as little as
    may be without covering the end of the part before in any track.
    """
    if len({len(parts) for parts in tracks}) != 1:
        return None
    offsets = [0.0]
    for number in range(1, len(tracks[0])):
        overlaps = [parts[number - 1].until_sec - parts[number].begin_sec for parts in tracks]
        offsets.append(offsets[-1] + max(overlaps))
    return offsets


def moving_filter(parts: Sequence[RecordedPart], offsets: Sequence[float]) -> str:
    """Write the bitstream filter that moves the packets of a track."""
    steps = [b - a for a, b in zip([0.0, *offsets], offsets, strict=False)]
    moves = [
        f"gte(N,{part.first})*round({step:.6f}/TB)"
        for part, step in zip(parts, steps, strict=True)
        if step
    ]
    moved = "+".join(moves)
    return f"setts=pts='PTS+{moved}':dts='DTS+{moved}'"
