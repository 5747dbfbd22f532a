"""Ctrl-C and SIGTERM as an exception that unwinds everything in order."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, an ordinary kill, a terminal that was closed."""


class StopRequested(BaseException):
    """Somebody asked us to stop; like KeyboardInterrupt, no ``except Exception`` catches it."""


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Within the block the first stopping signal raises ``StopRequested``; later ones do nothing.

    What follows the first is cleaning up, which is bounded: a second Ctrl-C must not cut it short.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        ignore_signals()
        raise StopRequested(signal.Signals(number).name)

    before = {number: signal.signal(number, stop) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """From here on stopping signals do nothing: we are stopping anyway."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
