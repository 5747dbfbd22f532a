"""The embedded Postgres: made once, recovered after a crash, stopped cleanly."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from stack.home import Home
from stack.logins import set_login
from stack.postgres_location import PostgresLocation, prepare_location, remove_data
from stack.processes import end_processes, find_processes, last_lines, spawn, stop_child

SUPERUSER = "postgres"
OWNER = "khronika_owner"
DATABASE = "khronika"
READY_SEC = 60.0
"""Crash recovery replays the log since the last checkpoint, at most 1 GB (``max_wal_size``)."""

SETTINGS = {
    "listen_addresses": "",  # the socket only: no port to collide on, nothing to reach from outside
    "unix_socket_permissions": "0700",
    "max_connections": "200",  # a pool per role, times processes, times two stacks of tests
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}
THROWAWAY = {
    # Only the machine's own crash could lose something, and a test run does not outlive that.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # Small enough for a folder in memory: without replicas, and with early checkpoints.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "128MB",
    "min_wal_size": "32MB",
    # With the data, not in /dev/shm: what a killed session leaves is removed with its home.
    "dynamic_shared_memory_type": "mmap",
}


class ServerFailed(Exception):
    """An embedded server did not start; the message holds the end of its log."""


@dataclass(frozen=True)
class PostgresServer:
    """A running server.

    Attributes:
        location: Where it runs.
    """

    location: PostgresLocation

    @property
    def superuser_url(self) -> str:
        """For making roles and databases; open to our own system user only (peer)."""
        return f"postgresql://{SUPERUSER}@/postgres?{self._address}"

    def url(self, role: str, password: str, database: str = DATABASE) -> str:
        """A role's login on this server."""
        return f"postgresql://{role}:{quote(password, safe='')}@/{database}?{self._address}"

    @property
    def _address(self) -> str:
        # The port, part of the socket's name, is spelt out: PGPORT would fill it in else.
        return f"host={quote(str(self.location.socket), safe='')}&port=5432"


@contextmanager
def running_postgres(
    home: Home, *, owner_password: str, throwaway: bool = False
) -> Iterator[PostgresServer]:
    """Run a server for the length of the block, with the database and its owner in it.

    Args:
        home: Held by the caller.
        owner_password: Of ``khronika_owner``, set anew by each start.
        throwaway: For tests: trades safety against a crash of the machine for speed, and removes
            the data at the end.

    Raises:
        ServerFailed: it did not start.
        NoPostgresLocation: this machine has no place for it.
    """
    location = prepare_location(home)
    server = PostgresServer(location)
    _end_leftovers(location)
    if not location.data.exists():
        _initialise(location, throwaway=throwaway)
    _write_access_rules(location)
    log = home.logs / "postgres.log"
    child = _start(location, log, THROWAWAY if throwaway else {})
    try:
        _wait_until_ready(server, child, log)
        _make_owner(server, owner_password)
        yield server
    finally:
        # SIGINT: fast shutdown, ends sessions and checkpoints; SIGQUIT leaves that to recovery.
        stop_child(child, [(signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0)])
        if throwaway:
            remove_data(home, location)


def _end_leftovers(location: PostgresLocation) -> None:
    """End what a killed run left on this data folder, and clear its traces.

    A surviving backend would keep the shared memory and the server would refuse to start. A
    stale postmaster.pid whose number belongs to another process by now would do the same; with
    every server of this folder gone, the file means nothing.
    """
    data = str(location.data)
    # Every process of a server has its data folder as its working directory.
    end_processes(
        find_processes(lambda p: p.name() == "postgres" and p.cwd() == data), patience_sec=2
    )
    (location.data / "postmaster.pid").unlink(missing_ok=True)
    for stale in location.socket.glob(".s.PGSQL.*"):
        stale.unlink()


def _initialise(location: PostgresLocation, *, throwaway: bool) -> None:
    """Make the cluster beside its place and move it there, so that a kill leaves no half of one."""
    draft = location.root / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    with tempfile.TemporaryFile() as output:
        child = spawn(
            [
                *(str(location.programs / "initdb"), "--pgdata", str(draft)),
                *("--username", SUPERUSER, "--auth", "peer"),
                # The same order of strings everywhere, whatever the machine's locale.
                *("--encoding", "UTF8", "--locale", "C"),
                *(["--no-sync"] if throwaway else []),
            ],
            death_signal=signal.SIGTERM,
            cwd=Path("/"),
            env=_environment(),
            output=output.fileno(),
            user=location.user,
        )
        if child.wait() != 0:
            output.seek(0)
            raise ServerFailed(f"initdb failed:\n{output.read().decode(errors='replace')}")
    draft.rename(location.data)


def _write_access_rules(location: PostgresLocation) -> None:
    """Superuser for our own system user without a password, every other login by password.

    Written by each start: who starts the stack decides who may be superuser.
    """
    who = pwd.getpwuid(os.geteuid()).pw_name  # as the kernel tells the server, not as $USER says
    rules = {
        "pg_hba.conf": f"local all {SUPERUSER} peer map=stack\nlocal all all scram-sha-256\n",
        "pg_ident.conf": f'stack "{who}" {SUPERUSER}\n',
    }
    for name, content in rules.items():
        path = location.data / name
        path.write_text(content)
        if location.user:
            entry = pwd.getpwnam(location.user)
            os.chown(path, entry.pw_uid, entry.pw_gid)


def _start(
    location: PostgresLocation, log: Path, settings: dict[str, str]
) -> subprocess.Popen[bytes]:
    options = SETTINGS | settings | {"unix_socket_directories": str(location.socket)}
    with log.open("ab") as output:
        return spawn(
            [
                *(str(location.programs / "postgres"), "-D", str(location.data)),
                *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
            ],
            death_signal=signal.SIGINT,
            cwd=Path("/"),
            env=_environment(),
            output=output.fileno(),
            user=location.user,
        )


def _environment() -> dict[str, str]:
    """Nothing of ours: PGDATA, PGPORT or a locale of the caller must not steer the server."""
    return {"PATH": os.defpath, "LC_ALL": "C"}


def _wait_until_ready(server: PostgresServer, child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SEC
    while True:
        try:
            psycopg.connect(server.superuser_url, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if child.poll() is not None or time.monotonic() > deadline:
                raise ServerFailed(f"Postgres did not start: {error}\n{last_lines(log)}") from error
            time.sleep(0.05)
        else:
            return


def _make_owner(server: PostgresServer, password: str) -> None:
    """Make the owner: no superuser, because hosted Postgres gives none, but a maker of roles."""
    role, database = sql.Identifier(OWNER), sql.Identifier(DATABASE)
    with psycopg.connect(server.superuser_url, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER]).fetchone():
            connection.execute(sql.SQL("CREATE ROLE {}").format(role))
        connection.execute(sql.SQL("ALTER ROLE {} CREATEROLE CREATEDB").format(role))
        set_login(connection, OWNER, password)
        known = "SELECT 1 FROM pg_database WHERE datname = %s"
        if not connection.execute(known, [DATABASE]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))
