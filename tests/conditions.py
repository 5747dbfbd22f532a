"""Conditions that a test waits for."""

import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_SEC = 180.0
"""Wait after which a condition that is awaited has failed."""
LOOK_EVERY_SEC = 0.05
TAIL_CHARS = 4000


def wait_until(
    met: Callable[[], object],
    missed: str | Path = "it never became so",
    *,
    patience_sec: float = PATIENCE_SEC,
) -> None:
    """Wait until a condition is met, and fail if it is not within the time.

    Args:
        missed: Words of the failure, or the log whose end it shows.
    """
    deadline = time.monotonic() + patience_sec
    while not met():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience_sec:.0f} s: {_words(missed)}")
        time.sleep(LOOK_EVERY_SEC)


def _words(missed: str | Path) -> str:
    if isinstance(missed, Path):
        return missed.read_text(errors="replace")[-TAIL_CHARS:]
    return missed
