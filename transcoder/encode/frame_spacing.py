"""Spacing of a source's frames, measured from the instants of all of them.

A screen recording has a frame where something moves, and none where nothing does. Its average rate
says nothing about its motion; the fastest spacing that lasts for a few frames does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

_JITTER_SEC = 0.002  # Matroska and FLV count in milliseconds: 41, 42, 42 is a constant 24 fps
_JITTER_SHARE = 0.1
_LEAST_STEP_SEC = 1 / 1000  # of a rate; a shorter step is two names of one instant
_RUN = 8
"""Steps in a row that make a rate last: frames that arrive late, in a clump, are no motion."""
_CLUMPED = 3.0
"""Ratio of a run's longest step to its mean from which on the run is a clump after a gap."""


@dataclass(frozen=True)
class FrameSpacing:
    """Spacing of frames.

    Attributes:
        fastest_rate: Frames a second where they are closest and stay so; None if unknown.
        mean_rate: Frames a second between the first and the last; None if unknown.
        even: True if no frame strays from the typical step.
    """

    fastest_rate: float | None
    mean_rate: float | None
    even: bool


UNKNOWN_SPACING = FrameSpacing(None, None, even=True)


def frame_spacing(starts_sec: Sequence[float]) -> FrameSpacing:
    """Measure the spacing of frames by their instants, given in any order."""
    shown = sorted(starts_sec)
    steps = [step for a, b in pairwise(shown) if (step := b - a) >= _LEAST_STEP_SEC][1:]
    if not steps:
        return UNKNOWN_SPACING
    typical = median(steps)
    allowed = max(_JITTER_SEC, typical * _JITTER_SHARE)
    even = max(steps) - typical <= allowed and typical - min(steps) <= allowed
    return FrameSpacing(1 / _shortest_step(steps), len(steps) / sum(steps), even)


def _shortest_step(steps: Sequence[float]) -> float:
    """Return the smallest mean of so many steps in a row, clumps left out."""
    run = min(_RUN, len(steps))
    total = sum(steps[:run])
    shortest = sum(steps) / len(steps)
    for first in range(len(steps) - run + 1):
        if first:
            total += steps[first + run - 1] - steps[first - 1]
        if total / run < shortest and max(steps[first : first + run]) <= _CLUMPED * total / run:
            shortest = total / run
    return shortest
