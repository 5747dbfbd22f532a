"""Real servers for every test: one Postgres and one broker per session, one database per test.

They come from the same code as ``make up``, or from ``DATABASE_URL`` and ``BROKER_URL`` where the
environment has them. An owner given by the environment must be allowed to make databases and
roles; the broker's database that ``BROKER_URL`` names is flushed before every test.
"""

import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import redis
from psycopg import sql
from sqlalchemy import make_url

from stack.credentials import load_credentials
from stack.home import Home
from stack.logins import ROLES, grant_logins, login_url, login_variable
from stack.schema import migrate_all
from stack.servers import Servers, running_servers
from tests.running import RunningStack, running_stack_process

HOME_PREFIX = "khronika-tests-"
MEMORY = Path("/dev/shm")
ROOM_BYTES = 1 << 30
"""What a session keeps at its fullest is a third of this."""
ABANDONED_AFTER_SEC = 600
"""A session takes its home's lock within seconds of making it."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "system: needs root; `make check-system` runs these alone")
    config.addinivalue_line("markers", "browser: drives a Chromium of the system")


@pytest.fixture(scope="session")
def home() -> Iterator[Home]:
    """A folder for this session's servers; what killed sessions left is removed first."""
    _remove_abandoned_homes()
    root = Path(tempfile.mkdtemp(prefix=HOME_PREFIX, dir=_fastest()))
    if os.geteuid() == 0:
        root.chmod(0o711)  # the Postgres server runs as somebody else
    home = Home(root)
    with home.held():
        yield home
    shutil.rmtree(root)


def _fastest() -> Path:
    """Memory where there is enough of it: a clone of a database then takes 10 ms, not 200."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    return MEMORY if roomy and os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir())


def _remove_abandoned_homes() -> None:
    for root in _fastest().glob(f"{HOME_PREFIX}*"):
        found = root.lstat()
        is_ours = found.st_uid == os.geteuid() and not root.is_symlink()
        is_old = time.time() - found.st_mtime > ABANDONED_AFTER_SEC
        if is_ours and is_old and not Home(root).is_held():
            shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def credentials(home: Home) -> Mapping[str, str]:
    """Generated keys and passwords of this session."""
    return load_credentials(home)


@pytest.fixture(scope="session")
def servers(home: Home, credentials: Mapping[str, str]) -> Iterator[Servers]:
    """Postgres and the broker."""
    with running_servers(home, os.environ, credentials, throwaway=True) as servers:
        yield servers


@dataclass(frozen=True)
class Databases:
    """Makes and drops databases on the session's server.

    Attributes:
        admin_url: May make databases.
        owner_url: Will own them.
    """

    admin_url: str
    owner_url: str

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

    def drop(self, name: str) -> None:
        """Drop a database, whoever is still connected."""
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture(scope="session")
def databases(servers: Servers) -> Databases:
    admin_url = servers.postgres.superuser_url if servers.postgres else servers.owner_url
    return Databases(admin_url=admin_url, owner_url=servers.owner_url)


@pytest.fixture(scope="session")
def template(databases: Databases, credentials: Mapping[str, str]) -> Iterator[str]:
    """The name of a database that is migrated once, for tests to clone."""
    name = f"khronika_template_{os.getpid()}"
    url = databases.make(name)
    migrate_all(url)
    grant_logins(url, {role: credentials[f"{part}_password"] for part, role in ROLES.items()})
    yield name
    databases.drop(name)


_numbers = itertools.count(1)


@pytest.fixture
def postgres_url(databases: Databases, template: str) -> Iterator[str]:
    """A freshly migrated database of this test's own: its owner's URL."""
    name = f"khronika_test_{os.getpid()}_{next(_numbers)}"
    yield databases.make(name, template=template)
    databases.drop(name)


@pytest.fixture
def role_urls(postgres_url: str, credentials: Mapping[str, str]) -> Mapping[str, str]:
    """Logins of the test's database: ``api``, ``worker``, ``operator``, ``public``,
    ``transcoder``, and ``owner``.
    """
    return {"owner": postgres_url} | {
        part: login_url(postgres_url, role, credentials[f"{part}_password"])
        for part, role in ROLES.items()
    }


@pytest.fixture
def broker_url(servers: Servers) -> Iterator[str]:
    """An empty broker for this test: a database number of its own, flushed before and after."""
    url = servers.broker_url
    if servers.broker:
        url = servers.broker.url(1 + next(_numbers) % 63)
    with closing(redis.Redis.from_url(url)) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture(scope="session")
def stack_settings() -> Mapping[str, str]:
    """What the acceptance tests' stack is to be told besides; for a conftest to override."""
    return {}


@pytest.fixture(scope="session")
def stack_logins(
    databases: Databases, template: str, credentials: Mapping[str, str]
) -> Iterator[Mapping[str, str]]:
    """A database for the acceptance tests' stack, as the settings that name it."""
    name = f"khronika_stack_{os.getpid()}"
    url = databases.make(name, template=template)
    yield {"DATABASE_URL": url} | {
        login_variable(part): login_url(url, role, credentials[f"{part}_password"])
        for part, role in ROLES.items()
    }
    databases.drop(name)


@pytest.fixture(scope="session")
def running_stack(
    home: Home,
    servers: Servers,
    stack_logins: Mapping[str, str],
    stack_settings: Mapping[str, str],
) -> Iterator[RunningStack]:
    """The whole product as processes, on a database of its own."""
    settings = {"BROKER_URL": servers.broker_url, **stack_logins, **stack_settings}
    with running_stack_process(Home(home.root / "stack"), settings) as stack:
        yield stack
