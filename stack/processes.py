"""Starting, stopping and finding operating-system processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

DIE_WITH_PARENT = Path(__file__).with_name("die_with_parent.py")
KILL_WAIT_SEC = 5.0
"""How long the kernel may take to remove what was sent SIGKILL."""


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
    """Start a command in a session of its own that does not outlive this process.

    Its own session keeps a terminal's Ctrl-C away from it: stopping is for us to order. Call
    from the main thread: on Linux the tether is to the *thread* that started it.

    Args:
        command: Program and arguments, no shell.
        death_signal: What the kernel sends it when this process is killed.
        cwd: Its working directory.
        env: Its whole environment.
        output: Where both of its output streams go.
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


def stop_child(child: subprocess.Popen[bytes], escalation: Sequence[tuple[int, float]]) -> None:
    """Send signals in turn until the child is gone, then SIGKILL its group; idempotent.

    Args:
        child: A process made by ``spawn``.
        escalation: Pairs of a signal and the seconds it is given.
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
    """The processes of this machine that match, leaving out those we may not look at."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and matches(process):
                found.append(process)
    return found


def find_marked_processes(variable: str, value: str) -> list[psutil.Process]:
    """The processes that were started with this in their environment, or by one that was."""
    return find_processes(lambda process: process.environ().get(variable) == value)


def end_processes(processes: Iterable[psutil.Process], *, patience_sec: float) -> None:
    """Ask processes to end with SIGTERM; after ``patience_sec`` SIGKILL the rest."""
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
    """The end of a log file."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
