"""Waits without a deadline: they last as long as something moves.

A busy machine stretches a start from seconds to minutes, but the CPU time of the start stays the
same. A wait is therefore given up only when the awaited process uses no CPU time and gives no new
answer for a while.
"""

import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from contextlib import suppress
from dataclasses import dataclass
from math import floor
from pathlib import Path
from threading import Thread

import psutil

PATIENCE_SEC = 60.0
"""Time without progress after which a wait is given up."""
CPU_STEP_SEC = 0.5
"""CPU time that counts as progress. In ``PATIENCE_SEC`` an idle API that is probed every
``LONGEST_PAUSE_SEC`` uses 0.25 s; one of 100 busy processes per core gets 0.6 s."""
LOOK_EVERY_SEC = 0.1
"""Interval in which the end of a process is noticed."""
MEASURE_EVERY_SEC = 1.0
"""Interval in which CPU time is read; for a tree of processes it costs some milliseconds."""
SHORTEST_PAUSE_SEC = 0.02
LONGEST_PAUSE_SEC = 5.0

Report = Callable[[str, float], None]
"""Called about once a second with the name of what is awaited and the seconds waited so far."""


class NoProgress(Exception):
    """A step of the start stands still; the message names it and its last answer."""


class Stillness:
    """The time in which nothing has changed.

    A gap between two looks counts as ``2 * MEASURE_EVERY_SEC`` at most: this process itself may
    have been stopped meanwhile.
    """

    def __init__(self, now: float) -> None:
        self._looked_at = now
        self._evidence: Hashable = None
        self._still_sec = 0.0

    def measure(self, evidence: Hashable, now: float) -> float:
        """Return the seconds since the evidence last changed.

        Args:
            evidence: Any value that differs from the last one if there was progress.
            now: Monotonic time in seconds.
        """
        gap_sec = min(now - self._looked_at, 2 * MEASURE_EVERY_SEC)
        self._still_sec = self._still_sec + gap_sec if evidence == self._evidence else 0.0
        self._looked_at, self._evidence = now, evidence
        return self._still_sec


@dataclass(frozen=True)
class Awaited:
    """A process that a wait is for.

    Attributes:
        name: Shown to people.
        check: Raises if the process has ended.
        pid: Its process id; None if it runs on another machine.
        log: The file that holds its output.
        works_here: Whether the attempt does the work itself, so that its CPU time counts too.
    """

    name: str
    check: Callable[[], None]
    pid: int | None = None
    log: Path | None = None
    works_here: bool = False

    def cpu_sec(self) -> float:
        """Return the CPU time used so far by the process and everything it started."""
        here = time.process_time() - time.thread_time() if self.works_here else 0.0
        return here + (_cpu_sec_of_tree(self.pid) if self.pid else 0.0)

    def state(self) -> str:
        """Describe the process as the kernel sees it, and name its log."""
        state = f"; see {self.log}" if self.log else ""
        with suppress(psutil.Error):
            if self.pid:
                return f"; process {self.pid} is {psutil.Process(self.pid).status()}{state}"
        return state


@dataclass(frozen=True)
class Waiting:
    """The manner in which the steps of a start are awaited.

    Attributes:
        report: Told about each wait.
        patience_sec: Time without progress after which a wait is given up.
    """

    report: Report = lambda _name, _seconds: None
    patience_sec: float = PATIENCE_SEC

    def until(self, attempt: Callable[[], str], awaited: Awaited) -> None:
        """Repeat an attempt until it succeeds.

        The attempt runs in a thread of its own, so that the end of a process is noticed while it
        blocks.

        Args:
            attempt: Returns what is still missing; empty when it has succeeded.
            awaited: The process that the attempt depends on.

        Raises:
            NoProgress: nothing has moved for ``patience_sec``.
            Exception: whatever ``attempt`` or ``awaited.check`` raises.
        """
        watch = _Watch(self, awaited)
        while missing := watch.result_of(_in_background(attempt)):
            watch.note_answer(missing)
            watch.pause()
        awaited.check()


PATIENT = Waiting()
"""Waiting that tells nobody."""


class _Watch:
    """One wait: its length, the answers so far and the signs of progress."""

    def __init__(self, waiting: Waiting, awaited: Awaited) -> None:
        self._waiting, self._awaited = waiting, awaited
        self._began_at = self._measured_at = time.monotonic()
        self._stillness = Stillness(self._began_at)
        self._answers: list[str] = []

    def note_answer(self, answer: str) -> None:
        if answer not in self._answers:
            self._answers.append(answer)

    def result_of(self, attempt: "Future[str]") -> str:
        while not wait_for_futures([attempt], LOOK_EVERY_SEC).done:
            self._look()
        return attempt.result()

    def pause(self) -> None:
        """Pause for a twentieth of the wait so far: the load of the attempts stays small."""
        now = time.monotonic()
        waited_sec = now - self._began_at
        ends_at = now + min(max(waited_sec / 20, SHORTEST_PAUSE_SEC), LONGEST_PAUSE_SEC)
        while (left_sec := ends_at - time.monotonic()) > 0:
            time.sleep(min(left_sec, LOOK_EVERY_SEC))
            self._look()

    def _look(self) -> None:
        self._awaited.check()
        now = time.monotonic()
        if now - self._measured_at < MEASURE_EVERY_SEC:
            return
        self._measured_at = now
        self._waiting.report(self._awaited.name, now - self._began_at)
        evidence = len(self._answers), floor(self._awaited.cpu_sec() / CPU_STEP_SEC)
        still_sec = self._stillness.measure(evidence, now)
        if still_sec >= self._waiting.patience_sec:
            raise NoProgress(
                f"gave up waiting for {self._awaited.name} after {now - self._began_at:.0f} s: "
                f"no progress for {still_sec:.0f} s; "
                f"last answer: {(self._answers or ['none'])[-1]}{self._awaited.state()}"
            )


def _in_background(attempt: Callable[[], str]) -> "Future[str]":
    """Run an attempt in a thread that does not keep this process alive."""
    future: Future[str] = Future()

    def run() -> None:
        try:
            future.set_result(attempt())
        except Exception as error:  # noqa: BLE001 - raised again by the waiting thread
            future.set_exception(error)

    Thread(target=run, name="attempt", daemon=True).start()
    return future


def _cpu_sec_of_tree(pid: int) -> float:
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.Error):
                total += sum(process.cpu_times()[:4])  # user, system, and of ended children
    return total
