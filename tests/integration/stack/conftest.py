import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from pipeline.storage.prepare import prepare_storage
from stack.home import Home
from stack.ports import free_port
from stack.process_environment import Ports, build_environment
from stack.process_variables import is_ours
from stack.servers import Servers
from tests.integration.stack.procfile_runs import (
    TRANSCODER,
    WEB,
    StartProcess,
    starting_processes,
)
from tests.integration.stack.production_examples import ProductionExamples
from tests.integration.stack.stack_runs import SERVING, Up, launch
from tests.shared_run import fastest_folder, made_once

Start = Callable[..., Up]


@pytest.fixture
def start(place: Path, home: Home) -> Iterator[Start]:
    """Starts stacks over stand-ins; those that a test leaves running are stopped after it.

    A stack's database is a copy of one that an earlier start has made and migrated, unless
    ``is_first`` says that this start is to make it.
    """
    started = ExitStack()
    numbers = count()

    def start_one(
        folder: Path,
        procfile: str = SERVING,
        env: Mapping[str, str] | None = None,
        *,
        prefix: Sequence[str] = (),
        options: Sequence[str] = (),
        is_first: bool = False,
    ) -> Up:
        if not is_first and not (folder / "postgres").exists():
            copy_cluster(made_once(home.root / "cluster", make_cluster), folder)
        path = place / f"Procfile.{next(numbers)}"
        up = start_stack(path, procfile, folder, env, prefix=prefix, options=options)
        started.callback(up.end)
        return up

    with started:
        yield start_one


def start_stack(
    path: Path,
    procfile: str,
    folder: Path,
    env: Mapping[str, str] | None = None,
    *,
    prefix: Sequence[str] = (),
    options: Sequence[str] = (),
) -> Up:
    """Write a Procfile and start a stack on it."""
    path.write_text(procfile)
    command = [*prefix, sys.executable, "-m", "stack", "up", "--procfile", str(path), *options]
    return launch(command, folder, env or {"PORT": "0"})


def make_cluster(folder: Path) -> None:
    """Start and stop a stack, and leave nothing but its database."""
    up = start_stack(folder / "Procfile", SERVING, folder)
    try:
        up.wait_until_ready()
        assert up.stop() == 0
    finally:
        up.end()
    for path in folder.iterdir():
        if path.name != "postgres":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def copy_cluster(made: Path, folder: Path) -> None:
    """Give a home a database; owners and modes of its files stay."""
    folder.mkdir(mode=0o711, exist_ok=True)
    subprocess.run(["cp", "-a", made / "postgres", folder], check=True)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short name that the Postgres server's user may enter.

    pytest's own are long and closed; tests of just that make their own.
    """
    with tempfile.TemporaryDirectory(prefix="khronika-up-", dir=fastest_folder()) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture
def start_process(tmp_path: Path) -> Iterator[StartProcess]:
    """Starts a process of the Procfile; its output goes to ``log``."""
    with starting_processes(tmp_path / "log") as start:
        yield start


@pytest.fixture
def whole(
    tmp_path: Path, postgres_url: str, broker_url: str, credentials: Mapping[str, str]
) -> Mapping[str, str]:
    """The environment of a whole stack on the test's own database."""
    home = Home(tmp_path / "home")
    home.make()
    others = {name: value for name, value in os.environ.items() if not is_ours(name)}
    ports = Ports(free_port(), free_port(), free_port())
    servers = Servers(postgres_url, broker_url, None, None)
    environment = build_environment(home, others, servers, credentials, ports)
    prepare_storage(environment["STORAGE_URL"])
    return {
        **environment,
        WEB: f"127.0.0.1:{ports.web}",
        TRANSCODER: f"127.0.0.1:{ports.transcoder}",
    }


@pytest.fixture
def production(
    tmp_path: Path, role_urls: Mapping[str, str], broker_url: str
) -> Callable[[str], dict[str, str]]:
    """The example environment of a process in production."""
    return ProductionExamples(tmp_path / "production", role_urls, broker_url)
