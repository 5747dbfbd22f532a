"""What a confined program cannot do, tried by programs that try it."""

import json
import os
import platform
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.media import confinement, system_calls
from pipeline.media.child_process import ChildTimedOut, Finished, run_child
from pipeline.media.confinement import (
    GIB,
    ISOLATION,
    MIB,
    NO_FILES,
    PROBE,
    WAIVE,
    IsolationMissing,
    Reach,
    active_isolation,
    require_isolation,
)
from pipeline.media.probe import probe
from pipeline.media.source_limits import MediaRefused
from pipeline.media.system_calls import call_filter
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


@pytest.mark.parametrize(
    "call", ["ptrace", "bpf", "keyctl", "mount", "pidfd_getfd", "process_vm_readv", "unshare"]
)
def test_it_is_killed_for_a_call_that_only_an_attacker_makes(call: str) -> None:
    number = system_calls._KILLED[call][system_calls._COLUMN[platform.machine()]]
    script = f"import ctypes; print(ctypes.CDLL(None).syscall({number}, 0, 0, 0, 0, 0))"

    assert run(script).returncode == -signal.SIGSYS


MEMFD_CREATE = {"x86_64": 319, "aarch64": 279}


def test_it_gets_no_memory_that_could_hold_another_program() -> None:
    number = MEMFD_CREATE[platform.machine()]
    script = (
        "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"
        f"print(libc.syscall({number}, b'', 0), ctypes.get_errno())"
    )

    assert run(script).stdout.split() == [b"-1", b"1"]


@pytest.mark.parametrize(
    "attempt",
    [
        "os.chmod({victim}, 0o777)",
        "os.chown({victim}, os.getuid(), os.getgid())",
        "os.utime({victim}, (0, 0))",
        "os.setxattr({victim}, 'user.khronika', b'')",
        "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
        "os.sched_setaffinity(os.getppid(), [0])",
        "os.open({victim}, os.O_RDONLY | os.O_TRUNC)",
        "os.chdir('/')",
        "os.mkdir({folder} + '/new')",
        "os.statvfs('/')",
    ],
)
def test_it_changes_nothing_that_landlock_does_not_protect(attempt: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.touch(0o600)
    victim.write_text("content")
    script = attempt.format(victim=repr(str(victim)), folder=repr(str(tmp_path)))

    done = run(f"import os; {script}", Reach(reads=(victim,), writes=tmp_path))

    assert b"PermissionError" in done.stderr
    assert (victim.stat().st_mode & 0o777, victim.stat().st_mtime > 0) == (0o600, True)
    assert victim.read_text() == "content"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_no_call_is_both_allowed_and_killed_and_the_filter_fits_the_kernel(machine: str) -> None:
    column = system_calls._COLUMN[machine]
    conditional = (*system_calls._ALLOWED_IF, *system_calls._OPEN, system_calls._CLONE)
    calls = [*system_calls._ALLOWED.values(), *conditional]
    allowed = [numbers[column] for numbers in calls if numbers[column] is not None]
    killed = {numbers[column] for numbers in system_calls._KILLED.values()}

    assert len(allowed) == len(set(allowed))
    assert not killed.intersection(allowed)
    assert 0 < len(call_filter(machine)) < 4096 * 8


def test_a_machine_whose_calls_are_unknown_has_no_filter() -> None:
    assert call_filter("riscv64") == b""


def test_it_opens_no_more_files_than_its_limit() -> None:
    assert b"Too many open files" in run("f = [open('/dev/null') for _ in range(200)]").stderr


def test_it_cannot_be_started_when_it_is_not_there() -> None:
    done = run_child(["/nowhere"], SMALL, NO_FILES, timeout_sec=60, max_output_bytes=1000)

    assert (done.returncode, done.stderr) == (125, b"/nowhere: No such file or directory\n")


def test_what_is_active_can_be_told() -> None:
    assert {"landlock", "seccomp"} <= set(active_isolation())


def lacking(*layers: str) -> Callable[[], tuple[str, ...]]:
    return lambda: tuple(layer for layer in ISOLATION if layer not in layers)


def test_a_start_without_a_layer_is_refused_unless_the_layer_is_waived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(confinement, "active_isolation", lacking("landlock", "network"))

    with pytest.raises(IsolationMissing, match="landlock"):
        require_isolation({"network"})
    require_isolation({"network", "landlock"})


def test_a_machine_that_waives_nothing_it_has_starts() -> None:
    require_isolation({"network"})


def test_a_run_without_a_required_layer_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "call_filter", lambda: b"")
    command = [PYTHON, "-c", "print('begun')"]

    done = run_child(command, SMALL, NO_FILES, timeout_sec=60, max_output_bytes=1000)

    assert (done.returncode, done.stdout) == (125, b"")
    assert done.stderr == b"isolation is not available: seccomp\n"


def test_a_run_without_a_waived_layer_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "call_filter", lambda: b"")
    monkeypatch.setenv(WAIVE, "seccomp,network")

    assert run("print('begun')").stdout == b"begun\n"


def test_a_probe_that_never_ends_is_the_files_fault(tmp_path: Path, tools: Tools) -> None:
    clip = clips.silent(tmp_path, tools)
    endless = tmp_path / "endless"
    endless.write_text("#!/bin/sh\nwhile :; do :; done\n")
    endless.chmod(0o755)

    with pytest.raises(MediaRefused) as refusal:
        probe(clip, replace(tools, ffprobe=str(endless)), timeout_sec=0.5)

    assert refusal.value.code == "source_unmeasurable"
    assert isinstance(refusal.value.__cause__, ChildTimedOut)
