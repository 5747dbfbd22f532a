"""The embedded Postgres: created once, recovered after a crash, stopped cleanly.

The wheel's own ``PostgresServer`` is not used: ADR 16 lists what it lacks.
"""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import LiteralString
from urllib.parse import quote

import psycopg
from psycopg import sql

from cli.database_logins import set_login
from stack.home import Home, open_private, write_private
from stack.postgres_location import PostgresLocation, prepare_location, remove_data
from stack.processes import (
    check_child,
    end_processes,
    find_processes,
    last_lines,
    spawn,
    stop_child,
)
from stack.waiting import PATIENT, Awaited, Waiting

SUPERUSER = "postgres"
OWNER = "khronika_owner"
DATABASE = "khronika"
PROBE_SEC = 5

SETTINGS = {
    "listen_addresses": "",  # the socket only: no port can collide, and no other machine connects
    "unix_socket_permissions": "0700",
    "max_connections": "200",  # a pool per role, times processes, times two stacks of tests
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}
THROWAWAY = {
    # Only a crash of the machine could lose data, and a test run does not survive one.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # Small enough for a folder in memory: no replicas, early checkpoints.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "128MB",
    "min_wal_size": "32MB",
    # Tests log in tens of thousands of times. With the default, 4,096, each login takes its client
    # 2 ms of CPU time more. The passwords are random and live as long as the run.
    "scram_iterations": "1",
    # Files beside the data instead of /dev/shm are removed with the home of a killed session.
    "dynamic_shared_memory_type": "mmap",
}


@dataclass(frozen=True)
class PostgresServer:
    """A running server.

    Attributes:
        location: Its folders and its user.
        pid: The process id of the postmaster.
    """

    location: PostgresLocation
    pid: int

    @property
    def superuser_url(self) -> str:
        """The login that makes roles and databases; only our own system user has it (peer)."""
        return f"postgresql://{SUPERUSER}@/postgres?{self._address}"

    def url(self, role: str, password: str, database: str = DATABASE) -> str:
        """Return the login of a role on this server."""
        return f"postgresql://{role}:{quote(password, safe='')}@/{database}?{self._address}"

    @property
    def _address(self) -> str:
        # The port is part of the socket's name. Without it libpq would take the one in PGPORT.
        return f"host={quote(str(self.location.socket), safe='')}&port=5432"


@contextmanager
def running_postgres(
    home: Home, *, owner_password: str, throwaway: bool = False, waiting: Waiting = PATIENT
) -> Iterator[PostgresServer]:
    """Run a server with the database and its owner for the length of the block.

    Crash recovery replays the log since the last checkpoint, at most 1 GB (``max_wal_size``).

    Args:
        home: Held by the caller.
        owner_password: The password of ``khronika_owner``; each start sets it.
        throwaway: For tests: faster, unsafe against a crash of the machine, and without its data
            after the block.
        waiting: Used until the cluster is created and until the server answers.

    Raises:
        NoPostgresLocation: this machine has no folder that the server can use.
        ProcessDied: initdb failed, or the server ended at its start.
        NoProgress: either of them stands still.
    """
    location = prepare_location(home)
    log = home.logs / "postgres.log"
    _end_leftovers(location)
    if not location.data.exists():
        _create_cluster(location, log, waiting, throwaway=throwaway)
    _write_access_rules(location)
    child = _start(location, log, THROWAWAY if throwaway else {})
    server = PostgresServer(location, child.pid)
    check = partial(check_child, "Postgres", child, partial(last_lines, log))
    try:
        prepare = partial(_prepare_database, server, owner_password)
        waiting.until(prepare, Awaited("Postgres", check, child.pid, log))
        yield server
    finally:
        # SIGINT ends sessions and writes a checkpoint (fast shutdown); SIGQUIT writes none.
        stop_child(child, [(signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0)])
        if throwaway:
            remove_data(home, location)


def _end_leftovers(location: PostgresLocation) -> None:
    """End the processes of a killed run on this data folder, and remove their files.

    A surviving backend would keep the shared memory, and the server would refuse to start. So
    would a stale postmaster.pid with the id of an unrelated process. Once every server of this
    folder is gone, the file means nothing.
    """
    data = str(location.data)  # the working directory of every process of a server
    end_processes(
        find_processes(lambda p: p.name() == "postgres" and p.cwd() == data), patience_sec=2
    )
    (location.data / "postmaster.pid").unlink(missing_ok=True)
    for stale in location.socket.glob(".s.PGSQL.*"):
        stale.unlink()


def _create_cluster(
    location: PostgresLocation, log: Path, waiting: Waiting, *, throwaway: bool
) -> None:
    """Create the cluster in a draft folder and rename it: a kill never leaves half a cluster."""
    draft = location.root / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    options = [
        *("--pgdata", str(draft), "--username", SUPERUSER, "--auth", "peer"),
        # Strings sort in the same order on every machine, whatever its locale.
        *("--encoding", "UTF8", "--locale", "C"),
        *(["--no-sync"] if throwaway else []),
    ]
    child = _spawn(location, "initdb", options, log, death_signal=signal.SIGTERM)

    def check() -> None:
        if child.poll():  # 0 is success
            check_child("initdb", child, partial(last_lines, log))

    try:
        running = Awaited("initdb", check, child.pid, log)
        waiting.until(lambda: "it runs" if child.poll() is None else "", running)
    finally:
        stop_child(child, [])
    draft.rename(location.data)


def _write_access_rules(location: PostgresLocation) -> None:
    """Let our own system user in as superuser, and every other login by password.

    Each start writes the rules: the user who starts the stack may change.
    """
    user = pwd.getpwuid(os.geteuid()).pw_name  # the name that the kernel reports, not $USER
    rules = {
        "pg_hba.conf": f"local all {SUPERUSER} peer map=stack\nlocal all all scram-sha-256\n",
        "pg_ident.conf": f'stack "{user}" {SUPERUSER}\n',
    }
    for name, content in rules.items():
        path = location.data / name
        write_private(path, content)
        if location.user:
            entry = pwd.getpwnam(location.user)
            os.chown(path, entry.pw_uid, entry.pw_gid)


def _start(
    location: PostgresLocation, log: Path, settings: dict[str, str]
) -> subprocess.Popen[bytes]:
    settings = SETTINGS | settings | {"unix_socket_directories": str(location.socket)}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    command = ["-D", str(location.data), *options]
    return _spawn(location, "postgres", command, log, death_signal=signal.SIGINT)


def _spawn(
    location: PostgresLocation,
    program: str,
    options: list[str],
    log: Path,
    *,
    death_signal: signal.Signals,
) -> subprocess.Popen[bytes]:
    with open_private(log, "ab") as output:
        return spawn(
            [str(location.programs / program), *options],
            death_signal=death_signal,
            cwd=Path("/"),
            # Without our variables: the caller's PGDATA, PGPORT or locale must not reach it.
            env={"PATH": os.defpath, "LC_ALL": "C"},
            output=output.fileno(),
            user=location.user,
        )


def _prepare_database(server: PostgresServer, owner_password: str) -> str:
    """Make the database and its owner; return the server's error, empty when both exist.

    Hosted Postgres gives no superuser, so the owner is none either; it may make roles.
    """
    role, database = sql.Identifier(OWNER), sql.Identifier(DATABASE)
    try:
        with psycopg.connect(
            server.superuser_url, autocommit=True, connect_timeout=PROBE_SEC
        ) as connection:
            if not _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", OWNER):
                connection.execute(sql.SQL("CREATE ROLE {}").format(role))
            connection.execute(sql.SQL("ALTER ROLE {} CREATEROLE CREATEDB").format(role))
            set_login(connection, OWNER, owner_password)
            if not _exists(connection, "SELECT 1 FROM pg_database WHERE datname = %s", DATABASE):
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))
    except psycopg.OperationalError as error:
        return str(error)
    return ""


def _exists(connection: psycopg.Connection, query: LiteralString, name: str) -> bool:
    return connection.execute(query, [name]).fetchone() is not None
