"""Real servers for every test: one Postgres and one broker a run, one database a test.

They come from the same code as ``make up``, or from ``DATABASE_URL`` and ``BROKER_URL`` where the
environment has them. An owner given by the environment must be allowed to make databases and
roles; the broker's database that ``BROKER_URL`` names is flushed before every test.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from pathlib import Path

import hypothesis
import pytest
import redis
from sqlalchemy import make_url

from cli.database_logins import ROLES, login_url, login_variable
from pipeline.media.confinement import WAIVE, missing_layers
from stack.credentials import load_credentials
from stack.home import Home
from stack.servers import Servers
from tests.kept_database import DatabaseKeeper
from tests.running import RunningStack, running_stack_process
from tests.shared_run import (
    Databases,
    SharedRun,
    broker_databases,
    migrated_template,
    new_home,
    run_joined,
    servers_in,
)

pytest_plugins = ["tests.compiled_once", "tests.distribution", "tests.garbage", "tests.time_taken"]


# How long an example takes says something about the machine, and nothing about the code.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "system: needs root; `make check-system` runs these alone")
    config.addinivalue_line("markers", "browser: drives a Chromium of the system")
    os.environ.setdefault("KHRONIKA_ENV", "development")
    if lacking := missing_layers():  # as `make up` does on a machine that cannot isolate ffmpeg
        os.environ.setdefault(WAIVE, ",".join(lacking))


@pytest.fixture(scope="session")
def joined(pytestconfig: pytest.Config) -> SharedRun | None:
    """The run whose servers this process uses; None where it starts its own."""
    return run_joined(pytestconfig)


@pytest.fixture(scope="session")
def home(joined: SharedRun | None) -> Iterator[Home]:
    """A folder for this run's servers."""
    if joined:
        yield joined.home
        return
    with new_home() as home:
        yield home


@pytest.fixture(scope="session")
def credentials(home: Home) -> Mapping[str, str]:
    """Generated keys and passwords of this run."""
    return load_credentials(home)


@pytest.fixture(scope="session")
def servers(joined: SharedRun | None, home: Home) -> Iterator[Servers]:
    """Postgres and the broker."""
    if joined:
        yield joined.servers
        return
    with servers_in(home) as servers:
        yield servers


@pytest.fixture(scope="session")
def databases(servers: Servers) -> Databases:
    return Databases.of(servers)


@pytest.fixture(scope="session")
def template(
    joined: SharedRun | None, databases: Databases, credentials: Mapping[str, str]
) -> Iterator[str]:
    """The name of a database that is migrated once a run, for tests to clone."""
    if joined:
        yield joined.template
        return
    with migrated_template(databases, credentials) as name:
        yield name


@pytest.fixture(scope="session")
def clip_folder(home: Home) -> Path:
    """A folder for the clips of tests/clips.py, each of which is made once a run."""
    folder = home.root / "clips"
    folder.mkdir(exist_ok=True)
    return folder


_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def lend_database(
    servers: Servers, databases: Databases, template: str
) -> Iterator[Callable[[], AbstractContextManager[str]]]:
    """Lends a database as the migrations leave it: one that is emptied where the server is ours,
    else a new one each time, because to empty one takes a superuser.
    """
    prefix = f"khronika_test_{os.getpid()}"
    if not servers.postgres:
        yield lambda: databases.lent(f"{prefix}_{next(_numbers)}", template=template)
        return
    with closing(DatabaseKeeper(databases, template, prefix)) as keeper:
        yield keeper.lent


@pytest.fixture
def postgres_url(lend_database: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """A migrated database without rows, this test's alone: its owner's URL."""
    with lend_database() as url:
        yield url


@pytest.fixture
def superuser_url(servers: Servers, databases: Databases, postgres_url: str) -> str | None:
    """The login that no policy and no grant binds, in the test's database; None where it is not
    ours to give.
    """
    if not servers.postgres:
        return None
    return databases.admin_url_of(str(make_url(postgres_url).database))


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
def broker_url(servers: Servers, pytestconfig: pytest.Config) -> Iterator[str]:
    """An empty broker for this test: a database number of its own, flushed before and after."""
    url = servers.broker_url
    if servers.broker:
        numbers = broker_databases(pytestconfig)[1:]
        url = servers.broker.url(numbers[next(_numbers) % len(numbers)])
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
    pytestconfig: pytest.Config,
) -> Iterator[RunningStack]:
    """The whole product as processes, on a database of its own."""
    broker_url = servers.broker_url
    if servers.broker:
        broker_url = servers.broker.url(broker_databases(pytestconfig)[0])
    settings = {"BROKER_URL": broker_url, **stack_logins, **stack_settings}
    with running_stack_process(Home(home.root / f"stack-{os.getpid()}"), settings) as stack:
        yield stack
