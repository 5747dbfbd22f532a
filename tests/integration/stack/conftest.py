import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.integration.stack.stack_runs import SERVING, Up, launch

Start = Callable[..., Up]


@pytest.fixture
def start(place: Path) -> Iterator[Start]:
    """Starts stacks over stand-ins; those that a test leaves running are stopped after it."""
    started: list[Up] = []

    def start_one(
        home: Path,
        procfile: str = SERVING,
        env: Mapping[str, str] | None = None,
        *,
        prefix: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> Up:
        path = place / f"Procfile.{len(started)}"
        path.write_text(procfile)
        command = [*prefix, sys.executable, "-m", "stack", "up", "--procfile", str(path), *options]
        up = launch(command, home, env or {"PORT": "0"})
        started.append(up)
        return up

    yield start_one
    for up in started:
        if up.process.poll() is None:
            up.stop()


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short name that the Postgres server's user may enter.

    pytest's own are long and closed; tests of just that make their own.
    """
    with tempfile.TemporaryDirectory(prefix="khronika-up-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)
