"""What a confined program cannot do, tried by programs that try it."""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.media.child_process import ChildTimedOut, Finished, run_child
from pipeline.media.confinement import GIB, MIB, NO_FILES, PROBE, Reach, active_isolation
from pipeline.media.probe import probe
from pipeline.media.source_limits import MediaRefused
from pipeline.media.tools import Tools
from tests import clips

SMALL = replace(PROBE, memory_bytes=GIB, cpu_sec=2, file_bytes=MIB)


PYTHON = os.path.realpath(sys.executable)


def run(script: str, reach: Reach = NO_FILES) -> Finished:
    command = [PYTHON, "-I", "-S", "-c", script]
    return run_child(command, SMALL, reach, timeout_sec=60, max_output_bytes=10_000)


def test_it_computes_and_may_have_threads() -> None:
    done = run("import _thread; _thread.start_new_thread(print, ()); print('fine')")

    assert (done.returncode, done.stdout.strip()) == (0, b"fine")


def test_it_gets_no_more_memory_than_its_limit() -> None:
    assert b"MemoryError" in run(f"bytearray({2 * GIB})").stderr


def test_it_is_ended_when_its_processor_time_is_spent() -> None:
    assert run("while True: pass").returncode == -signal.SIGXCPU


def test_it_is_ended_over_a_file_that_grows_too_large(tmp_path: Path) -> None:
    path = tmp_path / "file"
    as_in_c = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL)"
    grow = f"file = open({str(path)!r}, 'wb', 0)\nwhile True: file.write(bytes(4096))"

    assert run(f"{as_in_c}\n{grow}", Reach(writes=tmp_path)).returncode == -signal.SIGXFSZ
    assert path.stat().st_size == MIB


@pytest.mark.parametrize(
    "attempt",
    [
        "import os; os.fork()",
        "import os; os.posix_spawn('/bin/true', ['true'], {})",
        "import _socket; _socket.socket()",
        "import _socket; _socket.socket(_socket.AF_UNIX)",
        "import _socket; _socket.socketpair()",
    ],
)
def test_it_starts_no_process_and_opens_no_socket(attempt: str) -> None:
    assert b"PermissionError" in run(attempt).stderr


def test_it_knows_nothing_of_our_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHRONIKA_SECRET_KEY", "of nobody's business")

    known = json.loads(run("import json, os; print(json.dumps(dict(os.environ)))").stdout)

    assert not [name for name in known if name.startswith("KHRONIKA")]


@pytest.mark.parametrize(
    "attempt",
    [
        "open(f'/proc/{os.getppid()}/environ', 'rb').read()",
        "open(f'/proc/{os.getppid()}/mem', 'rb+')",
        "os.readlink(f'/proc/{os.getppid()}/fd/0')",
        "os.kill(os.getppid(), signal.SIGCONT)",
    ],
)
def test_it_gets_at_nothing_of_the_process_that_started_it(attempt: str) -> None:
    assert b"PermissionError" in run(f"import os, signal; {attempt}").stderr


def test_it_takes_over_no_open_connection_of_the_process_that_started_it() -> None:
    pidfd_open, pidfd_getfd = 434, 438  # the same on every architecture
    taken = run(
        "import ctypes, os; libc = ctypes.CDLL(None, use_errno=True)\n"
        f"theirs = libc.syscall({pidfd_open}, os.getppid(), 0)\n"
        f"print(theirs >= 0, libc.syscall({pidfd_getfd}, theirs, 0, 0))"
    )

    assert taken.stdout.split() == [b"True", b"-1"]


def test_it_opens_no_more_files_than_its_limit() -> None:
    assert b"Too many open files" in run("f = [open('/dev/null') for _ in range(200)]").stderr


def test_it_cannot_be_started_when_it_is_not_there() -> None:
    done = run_child(["/nowhere"], SMALL, NO_FILES, timeout_sec=60, max_output_bytes=1000)

    assert (done.returncode, done.stderr) == (1, b"/nowhere: No such file or directory\n")


def test_what_is_active_can_be_told() -> None:
    assert {"domain of its own", "system call filter"} <= set(active_isolation())


def test_a_probe_that_never_ends_is_the_files_fault(tmp_path: Path, tools: Tools) -> None:
    clip = clips.silent(tmp_path, tools)
    endless = tmp_path / "endless"
    endless.write_text("#!/bin/sh\nwhile :; do :; done\n")
    endless.chmod(0o755)

    with pytest.raises(MediaRefused) as refusal:
        probe(clip, replace(tools, ffprobe=str(endless)), timeout_sec=0.5)

    assert refusal.value.code == "source_corrupt"
    assert isinstance(refusal.value.__cause__, ChildTimedOut)
