"""A process that has imported the libraries and nothing of ours, and forks for each mutant.

A start from nothing imports them anew, which costs several times what a play does. The fork finds
the mutant first on its path, and imports ``pipeline`` and the tests from there.
"""

import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.mutations.mutants import ROOT

LIBRARIES = (
    *("cryptography.fernet", "jwt", "limits", "m3u8", "psycopg", "pydantic_settings", "pytest"),
    *("requests", "sqlalchemy.orm", "sqlalchemy.dialects.postgresql.psycopg", "structlog"),
)

PATIENCE_SEC = 120


@dataclass(frozen=True)
class WarmPython:
    """Runs modules as ``python -m`` does, each in a fork of one process."""

    requests: IO[str]
    answers: IO[str]

    def run(
        self, module: str, *arguments: str, product: Path, environment: Mapping[str, str]
    ) -> str:
        """Run a module with this copy of the product; return what it wrote to its output.

        Raises:
            AssertionError: It failed, or took longer than ``PATIENCE_SEC``.
        """
        wanted = [module, arguments, str(product), dict(environment)]
        print(json.dumps(wanted), file=self.requests, flush=True)
        status, output = json.loads(self.answers.readline())
        assert status == 0, f"{module} ended with {status}"
        assert isinstance(output, str)
        return output


@contextmanager
def warm_python() -> Iterator[WarmPython]:
    """Keep such a process for the length of the block."""
    command = [sys.executable, "-m", __name__]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield WarmPython(process.stdin, process.stdout)
        process.stdin.close()


def _serve() -> None:
    for library in LIBRARIES:
        importlib.import_module(library)
    for line in sys.stdin:
        output, written = os.pipe()
        child = os.fork()
        if not child:
            os.close(output)
            os.dup2(written, sys.stdout.fileno())
            _run(*json.loads(line))
        os.close(written)
        with os.fdopen(output) as told:
            text = told.read()
        _, status = os.waitpid(child, 0)
        print(json.dumps([os.waitstatus_to_exitcode(status), text]), flush=True)


def _run(
    module: str, arguments: Sequence[str], product: str, environment: Mapping[str, Any]
) -> None:
    """Be that module; never return."""
    code = 1
    try:
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(product)
        sys.path.insert(0, product)
        sys.argv[1:] = arguments
        signal.alarm(PATIENCE_SEC)
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        sys.stdout.flush()
        code = 0
    except BaseException:  # noqa: BLE001 - whatever ends it, the fork must not go on as its parent
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve()
