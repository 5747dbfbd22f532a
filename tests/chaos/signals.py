"""Signals to processes that may be gone already."""

from contextlib import suppress

import psutil


def kill(process: psutil.Process) -> None:
    """SIGKILL."""
    with suppress(psutil.NoSuchProcess):
        process.kill()


def suspend(process: psutil.Process | None) -> None:
    """SIGSTOP."""
    with suppress(psutil.NoSuchProcess):
        if process is not None:
            process.suspend()


def resume(process: psutil.Process | None) -> None:
    """SIGCONT; to whoever has this number by now, if it is still the same process."""
    with suppress(psutil.NoSuchProcess):
        if process is not None:
            process.resume()
