"""Runs the Procfile's processes together: all of them, or none.

Honcho reads the Procfile; running is ours, because honcho's manager waits without bound for a
process that ignores SIGTERM, leaves grandchildren in groups of their own behind, and orphans
everything when it is killed itself.
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
from pathlib import Path

from honcho.environ import parse_procfile

from stack.home import CHECKOUT, Home
from stack.processes import end_processes, find_marked_processes, spawn, stop_child

RUN_VARIABLE = "KHRONIKA_STACK_RUN"
"""Marks every process of one run, grandchildren included, wherever they went."""
ESCALATION = ((signal.SIGTERM, 6.0), (signal.SIGQUIT, 2.0))
"""gunicorn and Celery finish what they are at on SIGTERM, and drop it on SIGQUIT."""
LAST_LINES = 30

Echo = Callable[[str, str], None]
"""Called with a process's name and a line of its output, from a thread per process."""


class ProcessDied(Exception):
    """A process ended although nobody had asked it to; the message holds its last lines."""


@dataclass(frozen=True)
class SupervisedProcess:
    """One process of the Procfile.

    Attributes:
        name: Its name there.
        child: The process, leader of its own session.
        lines: The end of its output.
        pump: Reads its output until there is none.
    """

    name: str
    child: subprocess.Popen[bytes]
    lines: deque[str]
    pump: threading.Thread


def read_procfile(path: Path) -> Mapping[str, str]:
    """Command lines by process name, in the order of the file."""
    return dict(parse_procfile(path.read_text()).processes)


def end_leftovers(home: Home) -> None:
    """End the processes of a run that was killed before it could stop them.

    Args:
        home: Held by the caller, so that no living run is meant.
    """
    mark = home.run / "id"
    if mark.exists():
        end_processes(find_marked_processes(RUN_VARIABLE, mark.read_text()), patience_sec=2)


@contextmanager
def running_processes(
    commands: Mapping[str, str],
    *,
    home: Home,
    env: Mapping[str, str],
    echo: Echo,
    keep_open: Sequence[int] = (),
) -> Iterator[Sequence[SupervisedProcess]]:
    """Run commands for the length of the block; nothing they started outlives it.

    Each one's output also goes to ``logs/<name>.log``, begun anew.

    Args:
        commands: From ``read_procfile``.
        home: Held by the caller.
        env: Their environment.
        echo: Gets their output line by line.
        keep_open: File descriptors they inherit.
    """
    run_id = uuid.uuid4().hex
    (home.run / "id").write_text(run_id)
    processes: list[SupervisedProcess] = []
    try:
        for name, line in commands.items():
            child = spawn(
                ["/bin/sh", "-c", f"exec {line}"],  # the shell expands $PORT and is gone
                death_signal=signal.SIGTERM,
                cwd=CHECKOUT,
                env={**env, RUN_VARIABLE: run_id},
                output=subprocess.PIPE,
                keep_open=keep_open,
            )
            processes.append(_pumped(name, child, home.logs / f"{name}.log", echo))
        yield processes
    finally:
        _stop(processes, run_id)


def check_alive(processes: Sequence[SupervisedProcess]) -> None:
    """See that every process is alive.

    Raises:
        ProcessDied: one is not.
    """
    for process in processes:
        code = process.child.poll()
        if code is not None:
            process.pump.join(timeout=1.0)
            shown = "\n".join(f"  {line}" for line in process.lines) or "  (no output)"
            how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            raise ProcessDied(f"{process.name} ended ({how}); its last lines:\n{shown}")


def _pumped(name: str, child: subprocess.Popen[bytes], log: Path, echo: Echo) -> SupervisedProcess:
    lines: deque[str] = deque(maxlen=LAST_LINES)
    pump = threading.Thread(
        target=_pump, args=(name, child, log, lines, echo), name=f"pump-{name}", daemon=True
    )
    pump.start()
    return SupervisedProcess(name, child, lines, pump)


def _pump(
    name: str, child: subprocess.Popen[bytes], log: Path, lines: deque[str], echo: Echo
) -> None:
    """Pass output on until its last writer is gone: a full pipe would stop the process."""
    assert child.stdout is not None
    with child.stdout as output, log.open("wb") as file:
        for raw in output:
            file.write(raw)
            file.flush()
            line = raw.decode(errors="replace").rstrip()
            lines.append(line)
            with suppress(OSError):  # our own output is gone (`make up | head`); theirs goes on
                echo(name, line)


def _stop(processes: Sequence[SupervisedProcess], run_id: str) -> None:
    """Ask all at once, then insist; bounded by the escalation."""
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
        process.pump.join(timeout=1.0)
