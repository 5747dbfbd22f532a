import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.media.child_process import ChildTimedOut, ChildTooLoud, Finished, run_child
from pipeline.media.confinement import NO_FILES, PROBE, Reach


def test_output_and_exit_code_come_back_apart() -> None:
    done = run_child(
        ["sh", "-c", "echo out; echo err >&2; exit 3"],
        PROBE,
        NO_FILES,
        timeout_sec=30,
        max_output_bytes=100,
    )

    assert done == Finished(3, b"out\n", b"err\n")


def test_stdin_is_empty() -> None:
    assert run_child(["cat"], PROBE, NO_FILES, timeout_sec=30, max_output_bytes=100).stdout == b""


def test_a_deadline_kills(tmp_path: Path, program: Callable[[str], str]) -> None:
    note = tmp_path / "pid"
    sleeper = program(f"echo $$ > {note}; while :; do :; done")

    with pytest.raises(ChildTimedOut):
        run_child(
            [sleeper],
            replace(PROBE, file_bytes=100),
            Reach(writes=tmp_path),
            timeout_sec=1,
            max_output_bytes=100,
        )

    assert _ends(int(note.read_text()))


def test_a_program_that_closed_its_output_still_has_a_deadline() -> None:
    with pytest.raises(ChildTimedOut):
        run_child(
            ["sh", "-c", "exec >&- 2>&-; while :; do :; done"],
            PROBE,
            NO_FILES,
            timeout_sec=0.2,
            max_output_bytes=100,
        )


@pytest.fixture(params=["missing", "refused"])
def no_descriptors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without descriptors of processes, or a sandbox that allows none."""
    if request.param == "missing":
        monkeypatch.delattr(os, "pidfd_open")
        return

    def refuse(_: int) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "pidfd_open", refuse)


@pytest.mark.usefixtures("no_descriptors")
def test_an_end_is_waited_for_where_processes_have_no_descriptors() -> None:
    done = run_child(["sh", "-c", "exit 3"], PROBE, NO_FILES, timeout_sec=30, max_output_bytes=100)

    assert done.returncode == 3


@pytest.mark.usefixtures("no_descriptors")
def test_a_deadline_holds_where_processes_have_no_descriptors() -> None:
    with pytest.raises(ChildTimedOut):
        run_child(
            ["sh", "-c", "exec >&- 2>&-; while :; do :; done"],
            PROBE,
            NO_FILES,
            timeout_sec=0.2,
            max_output_bytes=100,
        )


@pytest.mark.parametrize("redirect", ["", ">&2"])
def test_output_over_the_bound_ends_the_program(redirect: str) -> None:
    with pytest.raises(ChildTooLoud):
        run_child(
            ["sh", "-c", f"while :; do echo y {redirect}; done"],
            PROBE,
            NO_FILES,
            timeout_sec=30,
            max_output_bytes=1000,
        )


def _ends(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if _is_zombie(pid):
            return True
        time.sleep(0.01)
    return False


def _is_zombie(pid: int) -> bool:
    """Where nothing reaps orphans (a container without init) a killed one stays as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True
