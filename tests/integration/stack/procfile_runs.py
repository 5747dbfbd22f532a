"""Processes of the Procfile, each started by itself, and the signs that one has started."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import requests

from stack.home import CHECKOUT
from stack.supervisor import read_procfile

COMMANDS = read_procfile(CHECKOUT / "Procfile")
START_SEC = 120.0

WEB, TRANSCODER, FLOWER = "KHRONIKA_WEB_BIND", "KHRONIKA_TRANSCODER_BIND", "KHRONIKA_FLOWER_PORT"
ADDRESSES = {
    "web": lambda env: f"http://{env[WEB]}/readyz",
    "transcoder": lambda env: f"http://{env[TRANSCODER]}/readyz",
    "flower": lambda env: f"http://127.0.0.1:{env[FLOWER]}/healthcheck",
}
"""Answers 200 once the process has started."""
LINES = {
    "submitter": " ready.",
    "worker": " ready.",
    "transcoder-worker": " ready.",
    "beat": "Sending due task",
    "transcoder-beat": "Sending due task",
}
"""Written to the log of the others."""


class StartProcess(Protocol):
    """Starts a process of the Procfile in an environment.

    Args of a call:
        name: Its name there.
        environment: All of its environment.
        prefix: A program that runs it.
        line: Its command line; None for that of the Procfile.
        keep_open: File descriptors it inherits.
    """

    def __call__(
        self,
        name: str,
        environment: Mapping[str, str],
        prefix: Sequence[str] = (),
        line: str | None = None,
        keep_open: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]: ...


@contextmanager
def starting_processes(log: Path) -> Iterator[StartProcess]:
    """Start processes whose output goes to a file; the end of the block ends them."""
    started: list[subprocess.Popen[bytes]] = []

    def start_one(
        name: str,
        environment: Mapping[str, str],
        prefix: Sequence[str] = (),
        line: str | None = None,
        keep_open: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*prefix, "/bin/sh", "-c", f"exec {line or COMMANDS[name]}"],
                cwd=CHECKOUT,
                env=dict(environment),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=keep_open,
            )
        started.append(process)
        return process

    try:
        yield start_one
    finally:
        for process in started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def has_started(
    name: str, process: subprocess.Popen[bytes], environment: Mapping[str, str], log: Path
) -> bool:
    """Return True once the process serves; fail if it has ended."""
    assert process.poll() is None, log.read_text()
    if name in LINES:
        return LINES[name] in log.read_text()
    with suppress(requests.RequestException):
        return requests.get(ADDRESSES[name](environment), timeout=START_SEC).ok
    return False
