"""What the embedded servers let in, and what the fixtures hand out."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from sqlalchemy import make_url

from cli.database_logins import ROLES, login_url
from stack.home import CHECKOUT
from stack.servers import Servers
from tests.conditions import wait_until
from tests.integration.stack.stack_runs import gone

embedded = pytest.mark.skipif(
    any(os.environ.get(name) for name in ("DATABASE_URL", "BROKER_URL")),
    reason="the environment names servers of its own",
)


@embedded
def test_the_broker_answers_on_loopback_only_and_asks_for_the_password(servers: Servers) -> None:
    assert servers.broker
    with socket.create_connection(("127.0.0.1", servers.broker.port)) as stranger:
        stranger.sendall(b"PING\r\n")
        assert stranger.recv(64).startswith(b"-NOAUTH")
    with closing(redis.Redis.from_url(servers.broker_url)) as client:
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


@embedded
def test_no_password_of_a_server_can_be_read_off_the_process_list(servers: Servers) -> None:
    assert servers.broker
    for process in psutil.Process().children(recursive=True):
        assert servers.broker.password not in " ".join(process.cmdline())


@embedded
def test_postgres_listens_on_its_socket_only_and_lets_nobody_else_near_it(
    servers: Servers,
) -> None:
    assert servers.postgres
    with psycopg.connect(servers.owner_url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    assert stat.S_IMODE(servers.postgres.location.socket.stat().st_mode) == 0o700


def test_the_owner_of_the_schema_is_no_superuser(servers: Servers) -> None:
    with psycopg.connect(servers.owner_url) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert row == (False, False)


@pytest.mark.parametrize("part", ROLES)
def test_each_role_logs_in_with_its_own_password_only(role_urls: dict[str, str], part: str) -> None:
    with psycopg.connect(role_urls[part]) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (ROLES[part],)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(login_url(role_urls[part], ROLES[part], "wrong"))


def test_two_tests_have_databases_of_their_own(
    postgres_url: str, request: pytest.FixtureRequest
) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE mine ()")
    name = make_url(postgres_url).database
    assert name is not None
    assert name != make_url(request.getfixturevalue("servers").owner_url).database


SESSION = """
import time
from pathlib import Path

def test_one(postgres_url: str, broker_url: str, home) -> None:
    Path("{sign}").write_text(str(home.root))
    time.sleep(600)
"""


HEED_INTERRUPTS = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""A shell starts what runs in its background with SIGINT ignored, and that is inherited."""


@pytest.mark.parametrize(
    ("number", "processes"),
    [
        *((signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, 0)),
        *((signal.SIGINT, 1), (signal.SIGKILL, 1)),
    ],
)
def test_a_test_session_that_is_stopped_leaves_no_process(
    tmp_path: Path, number: signal.Signals, processes: int
) -> None:
    sign = tmp_path / "home"
    (tmp_path / "test_session.py").write_text(SESSION.format(sign=sign))
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    session = subprocess.Popen(
        [
            *(sys.executable, "-c", HEED_INTERRUPTS),
            *("-m", "pytest", "--rootdir", tmp_path, "-p", "no:cacheprovider"),
            *("-n", str(processes), tmp_path),
        ],
        cwd=CHECKOUT,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    with session:
        wait_until(sign.exists, "the session's servers are up")
        family = psutil.Process(session.pid).children(recursive=True)
        assert "postgres" in {process.name() for process in family}
        session.send_signal(number)
        try:
            session.wait(60)
        finally:
            session.kill()
    wait_until(lambda: gone(family), "every server has gone")
    if number == signal.SIGINT:
        assert not Path(sign.read_text()).exists()
    shutil.rmtree(sign.read_text(), ignore_errors=True)  # else a later session would
