"""Limits of a program that reads a user's file.

Decoders are large, written in C, and read untrusted input. Each run has limits of its own and, as
far as the platform allows, is isolated (`confined.py`): even a decoder that a file has taken over
has no network, no children and no files but its input and its outputs, and ends by itself.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from pipeline.media.system_calls import call_filter

MIB = 1024**2
GIB = 1024**3

Layer = Literal["network", "privileges", "landlock", "seccomp"]

ISOLATION: tuple[Layer, ...] = get_args(Layer)
"""Layers of isolation (`confined.py`). A program runs only in all that are not waived."""

WAIVE = "KHRONIKA_ISOLATION_WAIVE"
"""Variable with the names of the layers that a machine may lack, separated by commas."""

# <linux/landlock.h>
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FILE, _MAKE_REG, _TRUNCATE = 1 << 5, 1 << 8, 1 << 14
_RUN = _EXECUTE | _READ_FILE
_USE_LIBRARIES = _RUN | _READ_DIR
_WRITE_OUTPUTS = _READ_FILE | _WRITE_FILE | _TRUNCATE | _MAKE_REG | _REMOVE_FILE

_LIBRARIES = (
    *("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib"),
    *("/nix/store", "/etc/ld.so.cache"),
)
_DEVICES: dict[str | Path, int] = {
    "/dev/null": _READ_FILE | _WRITE_FILE,
    "/dev/urandom": _READ_FILE,
}

_LAUNCHER = Path(__file__).with_name("confined.py")
_REPORT_TIMEOUT_SEC = 10
_FIRST_LINE_BYTES = 256  # as much as Linux reads of it

# Variables that a program needs to be found and to run; none holds an address or secret of ours.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """The limits of one run; see setrlimit(2).

    Attributes:
        memory_bytes: Address space (RLIMIT_AS); a program reserves more than it uses.
        cpu_sec: Processor time of all its threads (RLIMIT_CPU), then SIGXCPU.
        file_bytes: Largest file it may write (RLIMIT_FSIZE), then SIGXFSZ.
        open_files: Files and pipes open at once (RLIMIT_NOFILE).

    The number of processes (RLIMIT_NPROC) is no limit here: it counts all processes of a user and
    does not bind root. The filter of system calls forbids new processes instead.
    """

    memory_bytes: int
    cpu_sec: int
    file_bytes: int = 0
    open_files: int = 64


@dataclass(frozen=True, kw_only=True)
class Reach:
    """The files that one run may use beside the program and its libraries.

    Attributes:
        reads: Files, and folders with all below them, that it may read. It cannot list a folder.
        writes: Folder in which it may create, read, change, rename and remove files; it cannot make
            folders or links there. None: it writes its outputs to a pipe.
    """

    reads: tuple[Path, ...] = ()
    writes: Path | None = None


NO_FILES = Reach()
"""Reach of a run without input and output files."""

PROBE = Confinement(memory_bytes=2 * GIB, cpu_sec=30)
"""Limits of a measurement. The largest sampled index (64 MiB) takes some 300 MB of memory. Finding
the pixel format may take decoding a few 8K frames, of 106 MB each at 10 bits."""

SCAN = Confinement(memory_bytes=2 * GIB, cpu_sec=3600)
"""Limits of reading all packets of a source without decoding, which takes a second a gigabyte."""

PICTURE = Confinement(memory_bytes=GIB, cpu_sec=20)
"""Limits of decoding one JPEG or PNG of at most 35 million pixels (8K), 4 bytes each."""


def confined(command: Sequence[str], confinement: Confinement, reach: Reach) -> list[str]:
    """Return the command that runs ``command`` within the limits, as a child of this process.

    The launcher adds one start of the interpreter, about 20 ms.
    """
    program, *arguments = command or ("",)
    located = shutil.which(program) or program
    jail = {
        "parent": os.getpid(),
        "limits": asdict(confinement),
        "required": _required_layers() if command else [],
        "filter": call_filter().hex(),
        "files": {str(path): rights for path, rights in _rights(located, reach).items()},
    }
    launch = [sys.executable, "-I", "-S", str(_LAUNCHER), json.dumps(jail)]
    return [*launch, located, *arguments] if command else launch


def _rights(program: str, reach: Reach) -> dict[str | Path, int]:
    """List everything that a run may open, with its Landlock rights."""
    programs = [Path(program).resolve(), *_interpreter(program)]
    folders = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    # A program that was installed into a folder of its own finds its libraries beside `bin`.
    beside = [path.parent.parent / "lib" for path in programs if path.parent.name == "bin"]
    return {
        **dict.fromkeys(filter(None, (*_LIBRARIES, *folders, *beside)), _USE_LIBRARIES),
        **dict.fromkeys(programs, _RUN),
        **_DEVICES,
        **dict.fromkeys(reach.reads, _READ_FILE),
        **({reach.writes: _WRITE_OUTPUTS} if reach.writes else {}),
    }


def _interpreter(program: str) -> list[Path]:
    """Return the interpreter that the first line of a script names, if the program is a script."""
    try:
        with Path(program).open("rb") as file:
            line = file.readline(_FIRST_LINE_BYTES)
    except OSError:
        return []
    words = line.removeprefix(b"#!").split()
    return [Path(os.fsdecode(words[0])).resolve()] if line.startswith(b"#!") and words else []


def bare_environment(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of a confined program."""
    kept = {name: env[name] for name in _ENVIRONMENT if name in env}
    # Without this, glibc reserves 128 MiB of address space for the heap of each thread.
    return {**kept, "MALLOC_ARENA_MAX": "2"}


class IsolationMissing(Exception):
    """This machine lacks a layer of isolation that is not waived."""


def require_isolation(waived: Collection[Layer]) -> None:
    """Check that this machine allows every layer that is not waived.

    Raises:
        IsolationMissing: Names the missing layers.
    """
    required = [layer for layer in ISOLATION if layer not in waived]
    try:
        active = active_isolation() if required else ()
    except OSError as error:
        raise IsolationMissing(f"The isolation of ffmpeg cannot be checked: {error}.") from error
    if missing := ",".join(layer for layer in required if layer not in active):
        raise IsolationMissing(
            f"This machine cannot isolate ffmpeg by {missing}. Allow it, or set {WAIVE}={missing} "
            "and accept that a hostile file can do more."
        )


def missing_layers() -> list[Layer]:
    """List the layers that this machine lacks.

    Raises:
        OSError: The launcher does not run.
    """
    active = active_isolation()
    return [layer for layer in ISOLATION if layer not in active]


def _required_layers() -> list[str]:
    """List the layers without which a run must not begin.

    The variable was checked at the start. It is read again here, because a run that was started by
    a tool without settings, as a benchmark, is held to it too.
    """
    waived = os.environ.get(WAIVE, "").replace(" ", "").split(",")
    return [layer for layer in ISOLATION if layer not in waived]


@cache
def active_isolation() -> tuple[str, ...]:
    """Return the layers of `ISOLATION` that this machine allows.

    Raises:
        OSError: The launcher does not run.
    """
    command = confined([], PROBE, NO_FILES)
    try:
        done = subprocess.run(
            command,
            env=bare_environment(),
            capture_output=True,
            check=True,
            timeout=_REPORT_TIMEOUT_SEC,
        )
    except subprocess.SubprocessError as error:
        raise OSError("a confined program does not run") from error
    return tuple(json.loads(done.stdout))
