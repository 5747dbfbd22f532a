"""Runs ``python -m stack up`` as a user would, over stand-ins for the Procfile's processes."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from stack.home import CHECKOUT
from tests.conditions import wait_until

STAND_IN = f"{sys.executable} {Path(__file__).with_name('stand_in.py')}"
SERVING = (
    f"web: {STAND_IN} serve KHRONIKA_WEB_BIND\n"
    f"transcoder: {STAND_IN} serve KHRONIKA_TRANSCODER_BIND\n"
)
DEADLINE_SEC = 180.0


@dataclass
class Up:
    """A running ``stack up``."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    reader: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def wait_until_ready(self) -> str:
        """Its base URL, from the line that says so."""
        prefix = "khronika: ready at "
        wait_until(
            lambda: self.process.poll() is not None or any(prefix in line for line in self.lines),
            f"ready, or an end:\n{self.output}",
        )
        assert self.process.poll() is None, self.output
        return next(line for line in self.lines if prefix in line).removeprefix(prefix)

    def family(self) -> list[psutil.Process]:
        """It and everything it started, and what those started."""
        itself = psutil.Process(self.process.pid)
        return [itself, *itself.children(recursive=True)]

    def programs(self) -> set[str]:
        """The names of its family, without those that have ended meanwhile."""
        names = set()
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                names.add(process.name())
        return names

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; its exit code."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Wait for its end; its exit code. All it said is in ``output`` then."""
        code = self.process.wait(DEADLINE_SEC)
        self.reader.join(DEADLINE_SEC)
        return code

    def end(self) -> None:
        """Stop it if it runs, and in any case everything that it started."""
        if self.process.poll() is None:
            family = self.family()
            try:
                self.stop()
            finally:
                kill(family)

    def read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            self.lines.extend(line.rstrip() for line in output)


def kill(processes: Sequence[psutil.Process]) -> None:
    """SIGKILL: nothing gets a chance to clean up.

    All are stopped first: a child whose parent dies is told to end, and would clean up.
    """
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)


def gone(processes: Sequence[psutil.Process]) -> bool:
    return not any(
        process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes
    )


def launch(command: Sequence[str], home: Path, env: Mapping[str, str]) -> Up:
    return Up(
        subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env={**clean_environment(home), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    )


def clean_environment(home: Path) -> dict[str, str]:
    """Ours, without the settings of a stack that we may have been told of."""
    named = ("PORT", "DATABASE_URL", "BROKER_URL", "STORAGE_URL")
    ours = {
        name: value
        for name, value in os.environ.items()
        if name not in named and not name.startswith("KHRONIKA_")
    }
    return ours | {"KHRONIKA_HOME": str(home)}
