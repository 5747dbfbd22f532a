"""The system under attack, as the nemeses see it."""

import heapq
import itertools
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from os import environ
from pathlib import Path
from typing import Any, NamedTuple

import requests

from cli.database_logins import ROLES, grant_logins
from cli.database_schemas import migrate_all
from pipeline.config.task_names import QUEUES
from stack.credentials import load_credentials
from stack.home import CHECKOUT, Home
from stack.ports import free_port, listen, port_of
from stack.process_environment import Ports, build_environment
from stack.servers import Servers
from stack.supervisor import read_procfile
from tests.chaos.bounds import PROCESSING_DEADLINE_SEC, SETTINGS
from tests.chaos.crashable_servers import CrashableBroker, CrashablePostgres
from tests.chaos.fleet import Fleet
from tests.chaos.media import make_media
from tests.chaos.provider.script import LIAR, SLOW

WORKERS = ("worker", "worker-2")
"""Two, so that another can take over from the one that is stopped."""
ALL_QUEUES = ",".join(QUEUES)
"""Each takes all work, so that a blow to one meets every kind of it."""
WORKER_CHILDREN = 2
READY_SEC = 60.0
TEMPERAMENTS = (LIAR, SLOW)
"""The preferred accounts; the ordinary one comes last."""
SLOW_JOBS = 3
"""Jobs that the slow account takes at once, so that the ordinary one gets most."""
OVERDUE_SEC = PROCESSING_DEADLINE_SEC + 5.0

Action = Callable[[], None]


class StageFailed(Exception):
    """The stack did not come up: there is nothing to attack."""


@dataclass
class Stage:
    """Everything that can be attacked, and a clock for what is to happen later.

    Attributes:
        environment: The settings of the stack's processes.
        provider_url: The scripted provider.
        transcoder_url: Where the real one will be.
        media: The folder it serves.
        notes: What is worth knowing about the strikes, counted.
    """

    home: Home
    postgres: CrashablePostgres
    broker: CrashableBroker
    fleet: Fleet
    environment: dict[str, str]
    provider_url: str
    transcoder_url: str
    media: Path
    notes: Counter[str] = field(default_factory=Counter)
    _later: list[tuple[float, int, Action]] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def base_url(self) -> str:
        """The API."""
        return f"http://127.0.0.1:{self.environment['PORT']}"

    def books(self) -> dict[str, Any]:
        """The provider's ledger as it stands."""
        return dict(requests.get(f"{self.provider_url}/books", timeout=30).json())

    def holding(self) -> list[int]:
        """Ports of the clients whose submission the provider holds back at this moment."""
        return list(requests.get(f"{self.provider_url}/books/holding", timeout=5).json())

    def hold_next(self) -> None:
        """Have the provider hold back its answer to the next submission, for over a second."""
        requests.post(f"{self.provider_url}/books/hold", timeout=5).raise_for_status()

    def calm_provider(self) -> None:
        """From now on the provider behaves."""
        requests.post(f"{self.provider_url}/books/calm", timeout=5).raise_for_status()

    def later(self, delay_sec: float, action: Action) -> None:
        """Do this when ``tend`` is called after the delay."""
        entry = (time.monotonic() + delay_sec, next(self._numbers), action)
        heapq.heappush(self._later, entry)

    def tend(self) -> None:
        """Do what is due and restart what is down."""
        while self._later and self._later[0][0] <= time.monotonic():
            heapq.heappop(self._later)[2]()
        self.fleet.tend()

    def is_quiet(self) -> bool:
        """Whether no fault is waiting for its recovery."""
        return not self._later


class Sockets(NamedTuple):
    """Those that listen for as long as the stage is up, whoever serves them at the moment."""

    web: socket.socket
    provider: socket.socket
    transcoder: socket.socket


@contextmanager
def running_stage(home: Home, seed: int) -> Iterator[Stage]:
    """Bring everything up for the length of the block; nothing outlives it.

    Raises:
        StageFailed: it did not become ready.
    """
    with ExitStack() as exits:
        exits.enter_context(home.held())
        credentials = load_credentials(home)
        sockets = Sockets(*(exits.enter_context(listen()) for _ in range(3)))
        postgres = CrashablePostgres(home, credentials["owner_password"])
        exits.callback(postgres.close)
        broker = CrashableBroker(home, credentials["broker_password"])
        exits.callback(broker.close)
        migrate_all(postgres.owner_url)
        passwords = {role: credentials[f"{part}_password"] for part, role in ROLES.items()}
        grant_logins(postgres.owner_url, passwords)
        servers = Servers(postgres.proxied_url, broker.proxied_url, None, None)
        environment = _environment(home, servers, credentials, sockets)
        fleet = Fleet(home, environment, [listener.fileno() for listener in sockets])
        exits.callback(fleet.stop)
        provider_url, transcoder_url = _url(sockets.provider), _url(sockets.transcoder)
        media = home.root / "media"
        stage = Stage(
            home, postgres, broker, fleet, environment, provider_url, transcoder_url, media
        )
        make_media(stage.media)
        _launch(stage, sockets.provider.fileno(), seed)
        yield stage


def _environment(
    home: Home, servers: Servers, credentials: Mapping[str, str], sockets: Sockets
) -> dict[str, str]:
    """The settings of every process: the stack's own, with this run's waits and sockets."""
    ports = Ports(port_of(sockets.web), port_of(sockets.transcoder), free_port())
    built = build_environment(home, _inherited(), servers, credentials, ports)
    return {
        **{name: value for name, value in built.items() if name != "DATABASE_URL"},
        **SETTINGS,
        "KHRONIKA_SELFHOSTED_URL": _url(sockets.provider),
        "KHRONIKA_SELFHOSTED_OUTPUT_HOSTS": "127.0.0.1",
        "KHRONIKA_ACCOUNTS": _accounts(),
        **_temperaments(built, _url(sockets.provider)),
        "KHRONIKA_LOG_LEVEL": "WARNING",
        "KHRONIKA_WEB_BIND": f"fd://{sockets.web.fileno()}",
        "KHRONIKA_TRANSCODER_BIND": f"fd://{sockets.transcoder.fileno()}",
    }


def _accounts() -> str:
    """List the accounts: the ordinary one comes after the others."""
    return ",".join([*(f"{name}:selfhosted" for name in TEMPERAMENTS), "selfhosted"])


def _temperaments(built: Mapping[str, str], provider_url: str) -> dict[str, str]:
    """The settings of the accounts that lie, and that are slow: the same provider, other paths."""
    shared = ("TOKEN", "WEBHOOK_SECRETS")
    return {
        "KHRONIKA_SLOW_MAX_JOBS": str(SLOW_JOBS),
        **{
            f"KHRONIKA_{name.upper()}_{part}": value
            for name in TEMPERAMENTS
            for part, value in (
                ("URL", f"{provider_url}/{name}"),
                ("OUTPUT_HOSTS", "127.0.0.1"),
                *((part, built[f"KHRONIKA_SELFHOSTED_{part}"]) for part in shared),
            )
        },
    }


def _url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{port_of(listener)}"


def _inherited() -> dict[str, str]:
    """The caller's environment without what would steer the stack elsewhere."""
    steering = ("DATABASE_URL", "BROKER_URL", "STORAGE_URL", "PORT")
    return {
        name: value
        for name, value in environ.items()
        if name not in steering and not name.startswith("KHRONIKA_")
    }


def _launch(stage: Stage, provider_fd: int, seed: int) -> None:
    lines, fleet = read_procfile(CHECKOUT / "Procfile"), stage.fleet
    callbacks = f"{stage.base_url}/api/video-assets/webhook"
    arguments = f"{provider_fd} {stage.media} {seed} {OVERDUE_SEC} {callbacks}"
    fleet.add("provider", f"python -m tests.chaos.provider {arguments}")
    fleet.add("web", lines["web"])
    for name in WORKERS:
        # Its own name, and processes enough to overlap; the last of two options wins.
        own = f"--hostname {name}@%h --concurrency {WORKER_CHILDREN} --queues {ALL_QUEUES}"
        fleet.add(name, f"{lines['worker']} {own} --loglevel WARNING")
    fleet.add("beat", lines["beat"])
    wait_until_ready(stage, stage.base_url)


def second_beat_line() -> str:
    """A beat beside the first, with a schedule file of its own."""
    line = read_procfile(CHECKOUT / "Procfile")["beat"]
    return f'{line} --schedule "$KHRONIKA_HOME/run/beat-2"'


def wait_until_ready(stage: Stage, url: str) -> None:
    """Wait for ``/readyz``.

    Raises:
        StageFailed: it is not green in time.
    """
    deadline, answer = time.monotonic() + READY_SEC, ""
    while time.monotonic() < deadline:
        stage.fleet.tend()
        try:
            response = requests.get(f"{url}/readyz", timeout=5)
            if response.ok:
                return
            answer = response.text
        except requests.RequestException as error:
            answer = str(error)
        time.sleep(0.2)
    raise StageFailed(f"{url}/readyz is not green: {answer[:500]}")
