"""The servers of one test run, and the way in which several processes share them.

A run in one process starts its servers when a test first asks for them. A run in several
processes (``-n``, pytest-xdist) starts them in the first process, before the others. Each of the
others is given a ``SharedRun``, makes databases of its own, and has a slot of the broker's
numbered databases to itself.
"""

import fcntl
import os
import pickle
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from cli.database_logins import ROLES, grant_logins
from cli.database_schemas import migrate_all
from stack.credentials import load_credentials
from stack.home import Home
from stack.servers import Servers, running_servers

HOME_PREFIX = "khronika-tests-"
MEMORY = Path("/dev/shm")
ROOM_BYTES = 1 << 30
"""A run keeps a third of this at its fullest."""
ABANDONED_AFTER_SEC = 600
"""A run takes its home's lock within seconds of making it."""
MOST_PROCESSES = 7
BROKER_DATABASES = 9
"""Numbered databases of the broker that each process has: 63 in all, beside number 0."""


@dataclass(frozen=True)
class Databases:
    """Makes and drops databases on the run's server.

    Attributes:
        admin_url: May make databases.
        owner_url: Will own them.
    """

    admin_url: str
    owner_url: str

    @classmethod
    def of(cls, servers: Servers) -> Self:
        """Return the databases of these servers."""
        admin_url = servers.postgres.superuser_url if servers.postgres else servers.owner_url
        return cls(admin_url=admin_url, owner_url=servers.owner_url)

    def make(self, name: str, *, template: str = "template1") -> str:
        """Make a database and return its owner's URL."""
        url = make_url(self.owner_url)
        self._run(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
                sql.Identifier(name),
                sql.Identifier(str(url.username)),
                sql.Identifier(template),
            )
        )
        return url.set(database=name).render_as_string(hide_password=False)

    def admin_url_of(self, name: str) -> str:
        """Return the address of a database for the login that made it."""
        return make_url(self.admin_url).set(database=name).render_as_string(hide_password=False)

    def drop(self, name: str) -> None:
        """Drop a database and end its connections."""
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextmanager
    def lent(self, name: str, *, template: str) -> Iterator[str]:
        """Make a database for the length of the block, and yield its owner's URL."""
        yield self.make(name, template=template)
        self.drop(name)

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(statement)


@dataclass(frozen=True)
class SharedRun:
    """The part of a run that all its processes share.

    Attributes:
        home: A folder of the run, held by its first process.
        servers: Postgres and the broker.
        template: A migrated database to clone.
    """

    home: Home
    servers: Servers
    template: str

    def packed(self) -> bytes:
        """Return the run in a form that xdist can send to another process."""
        return pickle.dumps(self)

    @staticmethod
    def unpacked(sent: bytes) -> "SharedRun":
        """Return the run that ``packed`` was called on."""
        run = pickle.loads(sent)
        assert isinstance(run, SharedRun)
        return run


@contextmanager
def shared_run() -> Iterator[SharedRun]:
    """Start servers and make a template for the length of the block."""
    with (
        new_home() as home,
        servers_in(home) as servers,
        migrated_template(Databases.of(servers), load_credentials(home)) as template,
    ):
        yield SharedRun(home, servers, template)


@contextmanager
def new_home() -> Iterator[Home]:
    """Make a folder for a run's servers; remove the folders of killed runs first."""
    _remove_abandoned_homes()
    root = Path(tempfile.mkdtemp(prefix=HOME_PREFIX, dir=fastest_folder()))
    if os.geteuid() == 0:
        root.chmod(0o711)  # the Postgres server runs as another user
    home = Home(root)
    with home.held():
        yield home
    shutil.rmtree(root)


def fastest_folder() -> Path:
    """Return memory where there is enough of it: a database is cloned in 10 ms, not 200."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    return MEMORY if roomy and os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir())


def _remove_abandoned_homes() -> None:
    for root in fastest_folder().glob(f"{HOME_PREFIX}*"):
        found = root.lstat()
        is_ours = found.st_uid == os.geteuid() and not root.is_symlink()
        is_old = time.time() - found.st_mtime > ABANDONED_AFTER_SEC
        if is_ours and is_old and not Home(root).is_held():
            shutil.rmtree(root, ignore_errors=True)


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Make a folder once a run, whichever process is first, and return it.

    Args:
        folder: In the run's home.
        make: Called with an empty folder to fill, which is then moved.
    """
    with folder.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            draft = Path(tempfile.mkdtemp(dir=folder.parent))
            draft.chmod(0o711)
            make(draft)
            draft.rename(folder)
    return folder


@contextmanager
def servers_in(home: Home) -> Iterator[Servers]:
    """Run the servers that the environment does not name."""
    with running_servers(home, os.environ, load_credentials(home), throwaway=True) as servers:
        yield servers


@contextmanager
def migrated_template(databases: Databases, credentials: Mapping[str, str]) -> Iterator[str]:
    """Migrate a database for tests to clone, and yield its name."""
    name = f"khronika_template_{os.getpid()}"
    url = databases.make(name)
    migrate_all(url)
    passwords = {role: credentials[f"{part}_password"] for part, role in ROLES.items()}
    # A server that DATABASE_URL names may hold databases of an earlier run.
    grant_logins(url, passwords, even_if_shared=True)
    yield name
    databases.drop(name)


def is_worker(config: pytest.Config) -> bool:
    """Whether this process was started by another one to run some of its tests."""
    return hasattr(config, "workerinput")


def run_joined(config: pytest.Config) -> SharedRun | None:
    """Return the run that this process has a share of; None where it is alone."""
    return SharedRun.unpacked(_given(config)["run"]) if is_worker(config) else None


def broker_databases(config: pytest.Config) -> range:
    """Return the numbers of the broker's databases that are this process's own."""
    process = int(_given(config)["workerid"].removeprefix("gw")) if is_worker(config) else 0
    first = 1 + process % MOST_PROCESSES * BROKER_DATABASES
    return range(first, first + BROKER_DATABASES)


def _given(config: pytest.Config) -> dict[str, Any]:
    given: dict[str, Any] = config.workerinput  # type: ignore[attr-defined]  # set by xdist
    return given
