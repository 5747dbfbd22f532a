"""Within which bounds a program may look at a stranger's file.

Decoders are large, written in C, and read what anybody sends. Whatever such a file makes of one,
it stays a process without network and children that ends by itself: each run is confined to
limits of its own and, as far as the platform allows, isolated (`confined.py`).
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

MIB = 1024**2
GIB = 1024**3

ISOLATION = (
    "network namespace",
    "no new privileges",
    "domain of its own",
    "system call filter",
)
"""What a confined program is cut off by on a machine that allows everything."""

_LAUNCHER = Path(__file__).with_name("confined.py")
_REPORT_TIMEOUT_SEC = 10

# What a program needs to be found and to run; not our addresses and secrets.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """The limits of one run; see setrlimit(2).

    Attributes:
        memory_bytes: Address space (RLIMIT_AS), which more is reserved of than is used.
        cpu_sec: Processor time of all its threads (RLIMIT_CPU); past it comes SIGXCPU.
        file_bytes: The largest file it may write (RLIMIT_FSIZE); past it comes SIGXFSZ.
        open_files: Files and pipes open at once (RLIMIT_NOFILE).

    The number of processes (RLIMIT_NPROC) is not among them: it counts all that a user runs, not
    one child, and does not bind root. The filter of system calls forbids new ones instead.
    """

    memory_bytes: int
    cpu_sec: int
    file_bytes: int = 0
    open_files: int = 64


PROBE = Confinement(memory_bytes=2 * GIB, cpu_sec=30)
"""To measure. The largest index we sample (64 MiB) unfolds to some 300 MB; telling a pixel format
may take decoding a few 8K frames, of 106 MB each at 10 bits."""

SCAN = Confinement(memory_bytes=2 * GIB, cpu_sec=3600)
"""To read all packets of a source, decoding none: a second a gigabyte, so an hour is endless."""

PICTURE = Confinement(memory_bytes=GIB, cpu_sec=20)
"""To decode one JPEG or PNG of at most 35 million pixels (8K), 4 bytes each."""


def confined(command: Sequence[str], confinement: Confinement) -> list[str]:
    """The command that runs ``command`` within the limits, as a child of this process.

    It costs one start of the interpreter, about 20 ms.
    """
    bounds = json.dumps({"parent": os.getpid(), **asdict(confinement)})
    return [sys.executable, "-I", "-S", str(_LAUNCHER), bounds, *command]


def bare_environment(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a confined program gets to know of our environment."""
    kept = {name: env[name] for name in _ENVIRONMENT if name in env}
    # glibc reserves 128 MiB of address space for the heap of each thread beyond these.
    return {**kept, "MALLOC_ARENA_MAX": "2"}


def active_isolation() -> tuple[str, ...]:
    """What this machine lets a confined program be cut off from, beyond the limits.

    Returns:
        Those of `ISOLATION` in force.

    Raises:
        OSError: The launcher does not run.
    """
    command = confined([], PROBE)
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
