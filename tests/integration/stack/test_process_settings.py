"""Each process of the Procfile, started with its own variables and no others."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from stack.process_variables import environment_of
from tests.conditions import wait_until
from tests.integration.stack.procfile_runs import (
    COMMANDS,
    START_SEC,
    StartProcess,
    has_started,
)

OPERATORS = "KHRONIKA_OPERATOR_DATABASE_URL"

LACKING: Mapping[str, Mapping[str, str | None]] = {
    "web": {"KHRONIKA_API_DATABASE_URL": None, "KHRONIKA_JWT_SECRET": "short"},
    **{
        name: {"KHRONIKA_WORKER_DATABASE_URL": None, "KHRONIKA_MAX_ATTEMPTS": "short"}
        for name in ("submitter", "worker")
    },
    "beat": {"BROKER_URL": None, "KHRONIKA_LEASE_SEC": "short"},
    "flower": {"BROKER_URL": None, "KHRONIKA_LEASE_SEC": "short"},
    **{
        name: {"KHRONIKA_TRANSCODER_DATABASE_URL": None, "KHRONIKA_TRANSCODER_TOKEN": "short"}
        for name in ("transcoder", "transcoder-worker")
    },
    "transcoder-beat": {"BROKER_URL": None, "KHRONIKA_TRANSCODER_TOKEN": "short"},
}
"""Variables of each process that are missing (None) or wrong."""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_process_starts_with_its_own_variables_alone(
    whole: Mapping[str, str],
    start_process: StartProcess,
    tmp_path: Path,
    name: str,
) -> None:
    environment = environment_of(name, COMMANDS[name], whole)
    process = start_process(name, environment)
    log = tmp_path / "log"
    wait_until(lambda: has_started(name, process, environment, log), f"{name} has started")


def test_the_api_starts_without_the_logins_of_the_worker_and_the_operators(
    whole: Mapping[str, str],
    start_process: StartProcess,
    tmp_path: Path,
) -> None:
    without = {name: url for name, url in whole.items() if name != OPERATORS}
    environment = environment_of("web", COMMANDS["web"], without)
    process = start_process("web", environment)

    log = tmp_path / "log"
    wait_until(lambda: has_started("web", process, environment, log), "the API has started")
    held = Path(f"/proc/{process.pid}/environ").read_bytes()
    assert whole["KHRONIKA_API_DATABASE_URL"].encode() in held
    assert whole["KHRONIKA_WORKER_DATABASE_URL"].encode() not in held
    assert whole[OPERATORS].encode() not in held


@pytest.mark.parametrize("name", COMMANDS)
def test_a_process_does_not_start_without_its_own_variables_and_names_all_of_them(
    whole: Mapping[str, str],
    start_process: StartProcess,
    tmp_path: Path,
    name: str,
) -> None:
    environment = environment_of(name, COMMANDS[name], whole)
    missing = {variable for variable, value in LACKING[name].items() if value is None}
    assert missing <= environment.keys()
    kept = {
        variable: value for variable, value in environment.items() if variable not in LACKING[name]
    }
    wrong = {variable: value for variable, value in LACKING[name].items() if value is not None}

    process = start_process(name, {**kept, **wrong})

    assert process.wait(START_SEC) != 0
    written = (tmp_path / "log").read_text()
    assert [variable for variable in LACKING[name] if variable not in written] == []
    assert "short" not in written


# The system call that begins a Landlock domain; without the layer the kernel answers ENOSYS.
CREATE_RULESET, ENOSYS = 444, 38
ON_A_KERNEL_WITHOUT_LANDLOCK = """
import ctypes, os, struct, sys
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, int(sys.argv[1]))]
steps += [(0x06, 0, 0, 0x50000 | int(sys.argv[2])), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("@HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
os.execv(sys.argv[3], sys.argv[3:])
"""


@pytest.mark.parametrize("name", ["web", "worker", "transcoder", "transcoder-worker"])
def test_a_process_does_not_start_where_the_kernel_cannot_isolate_ffmpeg(
    whole: Mapping[str, str],
    start_process: StartProcess,
    tmp_path: Path,
    name: str,
) -> None:
    script = (sys.executable, "-c", ON_A_KERNEL_WITHOUT_LANDLOCK)
    prefix = (*script, str(CREATE_RULESET), str(ENOSYS))

    process = start_process(name, environment_of(name, COMMANDS[name], whole), prefix)

    assert process.wait(START_SEC) != 0
    assert "cannot isolate ffmpeg by landlock" in (tmp_path / "log").read_text()
