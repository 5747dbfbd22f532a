"""The pools through pgbouncer in transaction mode, where a session is lent for one transaction."""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, make_url, text

from pipeline.records.models import Asset
from pipeline.runtime.database import make_engine, reading_session, user_session
from stack.ports import LOOPBACK, free_port
from stack.servers import Servers
from tests.integration.api.conftest import OWNER, Client, environment, serving

__all__ = ["environment"]

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
PATIENCE_SEC = 30.0
REQUESTS = 120

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is missing: apt-get install pgbouncer"),
]

CONFIGURATION = """
[databases]
* = host={socket} port=5432
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 2
max_client_conn = 200
logfile = {folder}/log
"""


@pytest.fixture
def pooled_urls(servers: Servers, role_urls: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """The logins of the test's database, through a pgbouncer with two sessions for each."""
    if servers.postgres is None:
        pytest.skip("the given server has no socket to stand before")
    location, port = servers.postgres.location, free_port()
    folder = location.root / f"pgbouncer-{port}"
    folder.mkdir()
    urls = {part: make_url(url) for part, url in role_urls.items()}
    lines = {f'"{url.username}" "{url.password}"\n' for url in urls.values()}
    (folder / "users").write_text("".join(sorted(lines)))
    settings = {"socket": location.socket, "host": LOOPBACK, "port": port, "folder": folder}
    (folder / "ini").write_text(CONFIGURATION.format(**settings))
    _give(folder, location.user)
    assert PROGRAM is not None
    pooled = {
        part: url.set(host=LOOPBACK, port=port, query={}).render_as_string(hide_password=False)
        for part, url in urls.items()
    }
    process = subprocess.Popen([PROGRAM, "-q", str(folder / "ini")], user=location.user)
    try:
        _await(pooled["api"], process, folder / "log")
        yield pooled
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def _give(folder: Path, user: str | None) -> None:
    """Let the user of the embedded Postgres own the folder: pgbouncer refuses to run as root."""
    if user is not None:
        entry = pwd.getpwnam(user)
        for path in (folder, *folder.iterdir()):
            os.chown(path, entry.pw_uid, entry.pw_gid)


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SEC
    while True:
        assert process.poll() is None, log.read_text()
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return


@pytest.fixture
def engine(pooled_urls: Mapping[str, str]) -> Iterator[Engine]:
    engine = make_engine(pooled_urls["api"], pool_size=8)
    yield engine
    engine.dispose()


def test_every_transaction_is_bounded_and_sees_its_own_user(engine: Engine) -> None:
    names = "khronika.user_id", "statement_timeout", "idle_in_transaction_session_timeout"
    shown = ", ".join(f"current_setting('{name}')" for name in names)

    def look(number: int) -> bool:
        with user_session(engine, f"user {number}") as session:
            row = session.execute(text(f"SELECT {shown}")).one()
            session.execute(text("SELECT pg_sleep(0.001)"))
        return tuple(row) == (f"user {number}", "30s", "30s")

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(look, range(REQUESTS)))


def test_a_query_that_is_sent_often_works_on_every_session(engine: Engine) -> None:
    def look(_: int) -> int:
        with reading_session(engine) as session:
            return session.query(Asset).count()

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(look, range(REQUESTS))) == {0}


@pytest.fixture
def api(
    environment: Mapping[str, str], pooled_urls: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    for role in ("api", "worker", "operator", "public"):
        monkeypatch.setenv(f"KHRONIKA_{role.upper()}_DATABASE_URL", pooled_urls[role])
    with serving(monkeypatch) as client:
        yield client


def test_the_api_serves_through_it(api: Client) -> None:
    def create_and_read(_: int) -> tuple[int, int]:
        created = api.create(as_=OWNER)
        path = f"/api/video-assets/{created.json()['post_id']}"
        return created.status_code, api.get(path, as_=OWNER).status_code

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(create_and_read, range(REQUESTS // 2))) == {(202, 200)}
