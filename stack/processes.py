"""Operating-system processes: start, check, stop and find them."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from textwrap import indent
from typing import IO

import psutil

DIE_WITH_PARENT = Path(__file__).with_name("die_with_parent.py")
KILL_WAIT_SEC = 30.0
"""Time for the kernel to remove a process after SIGKILL; a busy machine takes seconds."""


class ProcessDied(Exception):
    """A process ended without being asked to; the message holds its last lines."""


def spawn(
    command: Sequence[str],
    *,
    death_signal: signal.Signals,
    cwd: Path,
    env: Mapping[str, str],
    output: IO[bytes] | int,
    user: str | None = None,
    stdin: int = subprocess.DEVNULL,
    keep_open: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a command that does not outlive this process.

    The command gets a session of its own, so that Ctrl-C on the terminal reaches only this
    process. Call this from the main thread: Linux sends ``death_signal`` when the *thread* that
    started the command ends.

    Args:
        command: Program and arguments; no shell is involved.
        death_signal: The signal that the kernel sends when this process is killed.
        cwd: Its working directory.
        env: Its whole environment.
        output: Destination of its standard output and standard error.
        user: System user to run as; needs root.
        stdin: As for ``Popen``.
        keep_open: File descriptors it inherits.
    """
    return subprocess.Popen(
        [
            *(sys.executable, "-I", str(DIE_WITH_PARENT)),
            *(death_signal.name, str(os.getpid()), user or "-"),
            *command,
        ],
        cwd=cwd,
        env=dict(env),
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=keep_open,
    )


def check_child(
    name: str, child: subprocess.Popen[bytes], read_last_lines: Callable[[], str]
) -> None:
    """Check that a child runs.

    Args:
        name: Its name in the message.
        child: A process made by ``spawn``.
        read_last_lines: Returns the end of its output.

    Raises:
        ProcessDied: it has ended.
    """
    code = child.poll()
    if code is not None:
        end = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        lines = indent(read_last_lines() or "(no output)", "  ")
        raise ProcessDied(f"{name} ended ({end}); its last lines:\n{lines}")


def stop_child(child: subprocess.Popen[bytes], escalation: Sequence[tuple[int, float]]) -> None:
    """Send signals in turn until the child has ended, then SIGKILL to its group; idempotent.

    Args:
        child: A process made by ``spawn``.
        escalation: Pairs of a signal and the seconds to wait for its effect.
    """
    for number, patience_sec in escalation:
        if child.poll() is not None:
            break
        child.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(patience_sec)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait(KILL_WAIT_SEC)


def find_processes(matches: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    """Find the matching processes of this machine, without this one and unreadable ones."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and matches(process):
                found.append(process)
    return found


def find_marked_processes(variable: str, value: str) -> list[psutil.Process]:
    """Find the processes that have this variable in their environment; children inherit it."""
    return find_processes(lambda process: process.environ().get(variable) == value)


def end_processes(processes: Iterable[psutil.Process], *, patience_sec: float) -> None:
    """Send SIGTERM to processes and, after ``patience_sec``, SIGKILL to the rest."""
    processes = list(processes)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, patience_sec)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, KILL_WAIT_SEC)


def last_lines(log: Path, count: int = 20) -> str:
    """Return the end of a log file."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
