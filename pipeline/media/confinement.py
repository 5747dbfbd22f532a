"""Limits of a program that reads a user's file.

Decoders are large, written in C, and read untrusted input. Each run has limits of its own and, as
far as the platform allows, is isolated (`confined.py`): even a decoder that a file has taken over
has no network and no children, and ends by itself.
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
"""Layers of isolation on a machine that allows all of them."""

_LAUNCHER = Path(__file__).with_name("confined.py")
_REPORT_TIMEOUT_SEC = 10

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


PROBE = Confinement(memory_bytes=2 * GIB, cpu_sec=30)
"""Limits of a measurement. The largest sampled index (64 MiB) takes some 300 MB of memory. Finding
the pixel format may take decoding a few 8K frames, of 106 MB each at 10 bits."""

SCAN = Confinement(memory_bytes=2 * GIB, cpu_sec=3600)
"""Limits of reading all packets of a source without decoding, which takes a second a gigabyte."""

PICTURE = Confinement(memory_bytes=GIB, cpu_sec=20)
"""Limits of decoding one JPEG or PNG of at most 35 million pixels (8K), 4 bytes each."""


def confined(command: Sequence[str], confinement: Confinement) -> list[str]:
    """Return the command that runs ``command`` within the limits, as a child of this process.

    The launcher adds one start of the interpreter, about 20 ms.
    """
    bounds = json.dumps({"parent": os.getpid(), **asdict(confinement)})
    return [sys.executable, "-I", "-S", str(_LAUNCHER), bounds, *command]


def bare_environment(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of a confined program."""
    kept = {name: env[name] for name in _ENVIRONMENT if name in env}
    # Without this, glibc reserves 128 MiB of address space for the heap of each thread.
    return {**kept, "MALLOC_ARENA_MAX": "2"}


def active_isolation() -> tuple[str, ...]:
    """Return the layers of `ISOLATION` that this machine allows.

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
