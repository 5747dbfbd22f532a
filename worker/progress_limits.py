"""Time limits of a task that count from its last progress, not from its beginning.

Celery counts a task's limits from its beginning, in another process, and nothing can move them. A
source may take hours to arrive. So the kernel's alarm clock enforces the limits of that task, and
each look that finds its lease held winds the clock again.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

from celery.exceptions import SoftTimeLimitExceeded


def wind(soft_sec: float, hard_sec: float) -> None:
    """Let the soft limit begin anew. The process is killed as much later as the hard one is."""
    signal.signal(signal.SIGALRM, partial(_end_softly, hard_sec - soft_sec))
    signal.setitimer(signal.ITIMER_REAL, soft_sec)


@contextmanager
def limited(wind_again: Callable[[], None]) -> Iterator[None]:
    """Run a task under the limits; their clock stops with the block."""
    wind_again()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _end_softly(rest_sec: float, _number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # it ends a process that runs no Python code
    signal.setitimer(signal.ITIMER_REAL, max(rest_sec, 0.1))
    raise SoftTimeLimitExceeded
