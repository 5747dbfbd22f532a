"""Postgres and the broker, each behind a proxy, and each made to be killed and started again."""

import os
import signal
from contextlib import ExitStack
from pathlib import Path

import psutil
import psycopg
import redis
from sqlalchemy import make_url

from stack.broker import BrokerServer, running_broker
from stack.home import Home
from stack.ports import LOOPBACK
from stack.postgres import DATABASE, OWNER, PostgresServer, running_postgres
from stack.postgres_location import SOCKET_NAME
from stack.processes import find_processes
from tests.chaos.proxy import Proxy, address_of

GONE_SEC = 20.0


class CrashablePostgres:
    """Postgres with its real durability settings: what was committed must survive ``crash``."""

    def __init__(self, home: Home, owner_password: str) -> None:
        self._home = home
        self._password = owner_password
        self._exits = ExitStack()
        self.server: PostgresServer
        self.start()
        self.proxy = Proxy(lambda: str(self.server.location.socket / SOCKET_NAME))

    def start(self) -> None:
        """Start it; recovery replays the log. From the main thread, as ``spawn`` asks."""
        self.server = self._exits.enter_context(
            running_postgres(self._home, owner_password=self._password)
        )

    def crash(self) -> None:
        """What ``pg_ctl stop -m immediate`` does: SIGQUIT, no checkpoint, every backend dropped."""
        pid_file = self.server.location.data / "postmaster.pid"
        postmaster = psutil.Process(int(pid_file.read_text().split()[0]))
        postmaster.send_signal(signal.SIGQUIT)
        psutil.wait_procs([postmaster], GONE_SEC)
        self._exits.close()

    @property
    def owner_url(self) -> str:
        """The schema's owner, directly."""
        return self.server.url(OWNER, self._password)

    @property
    def proxied_url(self) -> str:
        """The schema's owner, through the proxy: what the stack's URLs are made from."""
        return f"postgresql://{OWNER}:{self._password}@{address_of(self.proxy)}/{DATABASE}"

    def connect(self) -> psycopg.Connection:
        """Enter as superuser, past the proxy and past row-level security."""
        url = make_url(self.server.superuser_url).set(database=DATABASE)
        return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)

    def close(self) -> None:
        """Stop both."""
        self.proxy.close()
        self._exits.close()


class CrashableBroker:
    """A broker that keeps nothing: whoever kills it has flushed it as well."""

    def __init__(self, home: Home, password: str) -> None:
        self._home = home
        self._password = password
        self._exits = ExitStack()
        self.server: BrokerServer
        self.start()
        self.proxy = Proxy(lambda: (LOOPBACK, self.server.port))

    def start(self) -> None:
        """Start it, empty. From the main thread, as ``spawn`` asks."""
        self.server = self._exits.enter_context(
            running_broker(self._home, password=self._password, throwaway=True)
        )

    def crash(self) -> None:
        """SIGKILL."""
        folder = self._home.root / "broker"
        for process in find_processes(
            lambda p: p.name().startswith("valkey") and _works_in(p, folder)
        ):
            os.kill(process.pid, signal.SIGKILL)
            psutil.wait_procs([process], GONE_SEC)
        self._exits.close()

    def flush(self) -> None:
        """FLUSHALL."""
        with redis.Redis.from_url(self.server.url(), socket_timeout=5) as client:
            client.flushall()

    @property
    def proxied_url(self) -> str:
        """What the stack's processes connect to."""
        return f"redis://:{self._password}@{address_of(self.proxy)}/0"

    def close(self) -> None:
        """Stop both."""
        self.proxy.close()
        self._exits.close()


def _works_in(process: psutil.Process, folder: Path) -> bool:
    return bool(process.cwd() == str(folder))
