"""The output of the commands: whole lines, and below them a line about the current wait."""

import shutil
import sys
import threading
from typing import TextIO

FIRST_REPORT_SEC = 10.0
LONGEST_SILENCE_SEC = 60.0
"""Away from a terminal a wait is reported after 10, 20, 40 and 80 s, then every minute."""
CLEAR_LINE = "\r\x1b[K"
"""Carriage return, then "erase in line" (ECMA-48)."""


class Terminal:
    """Our standard output. For any number of threads.

    On a terminal the line about the wait is rewritten in place; in a file or a pipe it is repeated
    at growing intervals.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lock = threading.Lock()
        self._has_wait_line = False
        self._awaited = ""
        self._report_at_sec = 0.0

    def print_line(self, line: str) -> None:
        """Print a line in place of the one about the wait."""
        with self._lock:
            self._write(f"{line}\n")
            self._has_wait_line = False

    def announce(self, message: str) -> None:
        """Print a line of our own."""
        self.print_line(f"khronika: {message}")

    def fail(self, message: str) -> None:
        """Print the reason of a failure to standard error."""
        with self._lock:
            self._write("")
            self._has_wait_line = False
            print(f"khronika: {message}", file=sys.stderr)  # noqa: T201 - the purpose of this class

    def report_wait(self, name: str, waited_sec: float) -> None:
        """Show what is awaited and for how long already."""
        line = f"khronika: waiting for {name} since {waited_sec:.0f} s"
        if self._stream.isatty():
            with self._lock:
                self._write(line[: shutil.get_terminal_size().columns - 1])
                self._has_wait_line = True
        elif self._is_due(name, waited_sec):
            self.print_line(line)

    def _is_due(self, name: str, waited_sec: float) -> bool:
        if name != self._awaited:
            self._awaited, self._report_at_sec = name, FIRST_REPORT_SEC
        if waited_sec < self._report_at_sec:
            return False
        self._report_at_sec = waited_sec + min(waited_sec, LONGEST_SILENCE_SEC)
        return True

    def _write(self, text: str) -> None:
        self._stream.write((CLEAR_LINE if self._has_wait_line else "") + text)
        self._stream.flush()
