import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stack.waiting import Awaited, NoProgress, Stillness, Waiting


def test_stillness_grows_with_each_look_that_finds_the_same() -> None:
    stillness = Stillness(now=10.0)
    assert stillness.measure("a", now=11.0) == 0.0
    assert stillness.measure("a", now=12.0) == 1.0
    assert stillness.measure("a", now=13.5) == 2.5


@pytest.mark.parametrize("change", ["b", None, ("a", 1)])
def test_any_change_ends_the_stillness(change: object) -> None:
    stillness = Stillness(now=0.0)
    stillness.measure("a", now=1.0)
    stillness.measure("a", now=2.0)
    assert stillness.measure(change, now=3.0) == 0.0
    assert stillness.measure(change, now=4.0) == 1.0


def test_an_hour_in_which_this_process_itself_was_stopped_is_no_stillness() -> None:
    stillness = Stillness(now=0.0)
    stillness.measure("a", now=1.0)
    assert stillness.measure("a", now=3601.0) == 2.0


@contextmanager
def child(code: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


BURN = "import time\nwhile time.process_time() < {}: pass\n"


def test_the_cpu_time_of_ended_grandchildren_is_counted() -> None:
    grandchild = BURN.format(0.3)
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    with child(f"{code}; print(flush=True); input()") as process:
        assert process.stdout
        process.stdout.readline()
        assert Awaited("child", lambda: None, process.pid).cpu_sec() >= 0.3


def test_the_cpu_time_of_the_attempt_counts_where_it_does_the_work() -> None:
    def burn() -> str:
        ends_at = time.thread_time() + 0.2
        while time.thread_time() < ends_at:
            pass
        return ""

    here = Awaited("here", lambda: None, works_here=True)
    elsewhere = Awaited("elsewhere", lambda: None)
    before_sec = here.cpu_sec()
    Waiting().until(burn, here)
    assert here.cpu_sec() - before_sec >= 0.2
    assert elsewhere.cpu_sec() == 0.0


def test_an_attempt_is_repeated_until_nothing_is_missing() -> None:
    answers = iter(["starting", "starting", ""])
    Waiting().until(lambda: next(answers), Awaited("child", lambda: None))
    assert list(answers) == []


def test_the_end_of_a_process_is_noticed_while_an_attempt_blocks() -> None:
    class Ended(Exception):
        pass

    def block() -> str:
        never = threading.Event()
        return str(never.wait(30))

    with child("") as process:

        def check() -> None:
            if process.poll() is not None:
                raise Ended

        with pytest.raises(Ended):
            Waiting().until(block, Awaited("child", check, process.pid))


def test_an_error_of_an_attempt_ends_the_wait() -> None:
    def attempt() -> str:
        raise ValueError("no such schema")

    with pytest.raises(ValueError, match="no such schema"):
        Waiting().until(attempt, Awaited("child", lambda: None))


def test_a_wait_without_progress_is_reported_and_given_up_with_the_last_answer() -> None:
    reported: list[str] = []
    waiting = Waiting(lambda name, seconds: reported.append(f"{name} {seconds:.0f}"), 1.0)
    with child("input()") as process:
        awaited = Awaited("child", lambda: None, process.pid)
        with pytest.raises(NoProgress, match=r"waiting for child .* last answer: no; process"):
            waiting.until(lambda: "no", awaited)
    assert reported[0].startswith("child ")
