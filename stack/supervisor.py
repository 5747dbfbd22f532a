"""The supervisor of the Procfile's processes: all of them run, or none.

Honcho reads the Procfile. Its manager is not used: it waits without bound for a process that
ignores SIGTERM, leaves grandchildren in their own process groups behind, and orphans everything
when it is killed (ADR 8).
"""

import signal
import subprocess
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from honcho.environ import parse_procfile

from stack.home import CHECKOUT, Home, open_private, write_private
from stack.processes import (
    check_child,
    end_processes,
    find_marked_processes,
    spawn,
    stop_child,
)

RUN_VARIABLE = "KHRONIKA_STACK_RUN"
"""The environment variable that marks every process of one run, grandchildren included."""
ESCALATION = ((signal.SIGTERM, 6.0), (signal.SIGQUIT, 2.0))
"""On SIGTERM gunicorn and Celery finish their current work; on SIGQUIT they drop it."""
LAST_LINES = 30
PUMP_END_SEC = 2.0
"""Time for the rest of a process's output to be read after its end."""

Echo = Callable[[str, str], None]
"""Called with the name of a process and a line of its output, from a thread per process."""


@dataclass(frozen=True)
class SupervisedProcess:
    """One process of the Procfile.

    Attributes:
        name: Its name there.
        child: The process, leader of its own session.
        lines: The end of its output.
        pump: The thread that reads its output.
    """

    name: str
    child: subprocess.Popen[bytes]
    lines: deque[str]
    pump: threading.Thread


def read_procfile(path: Path) -> Mapping[str, str]:
    """Return the command lines by process name, in the order of the file."""
    return dict(parse_procfile(path.read_text()).processes)


def end_leftovers(home: Home) -> None:
    """End the processes that a killed run left behind.

    Args:
        home: Held by the caller, so that this run has ended.
    """
    mark = home.run / "id"
    if mark.exists():
        end_processes(find_marked_processes(RUN_VARIABLE, mark.read_text()), patience_sec=2)


@contextmanager
def running_processes(
    commands: Mapping[str, str],
    *,
    home: Home,
    environments: Mapping[str, Mapping[str, str]],
    echo: Echo,
    keep_open: Sequence[int] = (),
) -> Iterator[Sequence[SupervisedProcess]]:
    """Run commands for the length of the block; no process they started outlives it.

    The output of each also goes to a new ``logs/<name>.log``.

    Args:
        commands: From ``read_procfile``.
        home: Held by the caller.
        environments: The environment of each.
        echo: Receives their output line by line.
        keep_open: File descriptors they inherit.
    """
    run_id = uuid.uuid4().hex
    write_private(home.run / "id", run_id)
    processes: list[SupervisedProcess] = []
    try:
        for name, line in commands.items():
            child = spawn(
                ["/bin/sh", "-c", f"exec {line}"],  # the shell expands $PORT and is gone
                death_signal=signal.SIGTERM,
                cwd=CHECKOUT,
                env={**environments[name], RUN_VARIABLE: run_id},
                output=subprocess.PIPE,
                keep_open=keep_open,
            )
            processes.append(_supervise(name, child, home.logs / f"{name}.log", echo))
        yield processes
    finally:
        _stop(processes, run_id)


def check_alive(processes: Sequence[SupervisedProcess]) -> None:
    """Check that every process runs.

    Raises:
        ProcessDied: one has ended.
    """
    for process in processes:
        check_child(process.name, process.child, partial(_read_last_lines, process))


def _read_last_lines(process: SupervisedProcess) -> str:
    process.pump.join(PUMP_END_SEC)
    return "\n".join(process.lines)


def _supervise(
    name: str, child: subprocess.Popen[bytes], log: Path, echo: Echo
) -> SupervisedProcess:
    lines: deque[str] = deque(maxlen=LAST_LINES)
    pump = threading.Thread(
        target=_pump, args=(name, child, log, lines, echo), name=f"pump-{name}", daemon=True
    )
    pump.start()
    return SupervisedProcess(name, child, lines, pump)


def _pump(
    name: str, child: subprocess.Popen[bytes], log: Path, lines: deque[str], echo: Echo
) -> None:
    """Pass output on until its last writer has ended: a full pipe would stop the process."""
    assert child.stdout is not None
    with child.stdout as output, open_private(log, "wb") as file:
        for raw in output:
            file.write(raw)
            file.flush()
            line = raw.decode(errors="replace").rstrip()
            lines.append(line)
            with suppress(OSError):  # our own output is closed (`make up | head`)
                echo(name, line)


def _stop(processes: Sequence[SupervisedProcess], run_id: str) -> None:
    """Send each signal to all processes at once, then SIGKILL; bounded by the escalation."""
    for number, patience_sec in ESCALATION:
        alive = [process for process in processes if process.child.poll() is None]
        for process in alive:
            process.child.send_signal(number)
        deadline = time.monotonic() + patience_sec
        for process in alive:
            with suppress(subprocess.TimeoutExpired):
                process.child.wait(max(0.0, deadline - time.monotonic()))
    for process in processes:
        stop_child(process.child, [])
    end_processes(find_marked_processes(RUN_VARIABLE, run_id), patience_sec=0)
    for process in processes:
        process.pump.join(PUMP_END_SEC)
