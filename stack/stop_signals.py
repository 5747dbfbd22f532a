"""Ctrl-C and SIGTERM as an exception, so that every ``with`` block cleans up in order."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, an ordinary kill, a closed terminal."""


class StopRequested(BaseException):
    """A stopping signal arrived; as with KeyboardInterrupt, ``except Exception`` misses it."""


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Raise ``StopRequested`` at the first stopping signal within the block; ignore later ones.

    After the first one comes the clean-up, which is bounded; a second Ctrl-C must not end it early.
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
    """Ignore stopping signals from now on: the stop has begun."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
