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
        span_sec: Seconds that the mean is taken over.
        even: True if no frame strays from the typical step.
    """

    fastest_rate: float | None
    mean_rate: float | None
    span_sec: float
    even: bool


UNKNOWN_SPACING = FrameSpacing(None, None, 0.0, even=True)


def frame_spacing(starts_sec: Sequence[float]) -> FrameSpacing:
    """Measure the spacing of frames by their instants, given in any order."""
    shown = sorted(starts_sec)
    steps = [step for a, b in pairwise(shown) if (step := b - a) >= _LEAST_STEP_SEC][1:]
    if not steps:
        return UNKNOWN_SPACING
    typical = median(steps)
    allowed = max(_JITTER_SEC, typical * _JITTER_SHARE)
    even = max(steps) - typical <= allowed and typical - min(steps) <= allowed
    return FrameSpacing(1 / _shortest_step(steps), len(steps) / sum(steps), sum(steps), even)


def _shortest_step(steps: Sequence[float]) -> float:
    """Return the smallest step that lasts for a run of steps, clumps after a gap left out."""
    length = min(_RUN, len(steps))
    total = sum(steps[:length])
    shortest = sum(steps) / len(steps)
    for first in range(len(steps) - length + 1):
        if first:
            total += steps[first + length - 1] - steps[first - 1]
        if total / length < shortest:
            run = steps[first : first + length]
            if max(run) <= _CLUMPED * total / length:
                # The mean is exact where instants are rounded. The median is not moved by one short
                # step, as at the seam of two recordings.
                shortest = min(shortest, max(total / length, median(run)))
    return shortest
