"""The start and the stop of a whole stack: from an empty folder to a green ``/readyz``."""

import math
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus

import requests

from cli.database_logins import ROLES, grant_logins, login_variable
from cli.database_schemas import migrate_all
from pipeline.storage.prepare import prepare_storage
from stack.credentials import load_credentials
from stack.demonstration_site import PROCESS, site_settings
from stack.home import Home
from stack.ports import free_port, listen, listen_above, listen_for_web, port_of
from stack.process_environment import (
    Ports,
    build_environment,
    read_environment,
    with_secrets_read,
    write_environment,
)
from stack.process_variables import environment_of
from stack.servers import Servers, running_servers
from stack.stop_signals import ignore_signals
from stack.supervisor import (
    Echo,
    SupervisedProcess,
    check_alive,
    end_leftovers,
    running_processes,
)
from stack.waiting import PATIENT, Awaited, Waiting

PROBE_SEC = 30.0
"""Limit of one ``/readyz``, which takes milliseconds on an idle machine."""

Announce = Callable[[str], None]
"""Called with a line about each stage as it begins."""


@dataclass(frozen=True)
class Stack:
    """A running stack.

    Attributes:
        environment: Its settings, as its processes have them.
        processes: The processes of the Procfile.
    """

    environment: Mapping[str, str]
    processes: Sequence[SupervisedProcess]

    @property
    def base_url(self) -> str:
        """The address of its API on this machine; the public one may differ."""
        return f"http://127.0.0.1:{self.environment['PORT']}"

    def watch(self) -> None:
        """Check the processes for ever.

        Raises:
            ProcessDied: one has ended.
        """
        while True:
            check_alive(self.processes)
            time.sleep(0.2)


@contextmanager
def running_stack(
    home: Home,
    env: Mapping[str, str],
    *,
    commands: Mapping[str, str],
    echo: Echo,
    announce: Announce,
    waiting: Waiting = PATIENT,
) -> Iterator[Stack]:
    """Run a whole stack for the length of the block.

    Args:
        home: The folder of its state; held until the end.
        env: The caller's environment.
        commands: The processes, from ``read_procfile``. If the demonstration site is one of them,
            it gets a port and its settings.
        echo: Receives the processes' output.
        announce: Receives a line for each stage.
        waiting: Used for every step of the start.

    Raises:
        AlreadyRunning: another stack runs from this home.
        PortTaken: ``PORT`` is in use.
        LoginTaken: another installation of the database's server has other passwords.
        SecretUnreadable: a file that ``env`` names in place of a secret does not hold one.
        StorageUrlInvalid: ``STORAGE_URL`` does not name a storage.
        OSError: its folder cannot be made.
        BrokerMissing: the broker's wheel is not installed.
        NoPostgresLocation: this machine has no folder that Postgres can use.
        ProcessDied: a process ended at its start.
        NoProgress: a step of the start stands still.
    """
    env = with_secrets_read(env)
    with ExitStack() as exits:
        try:
            exits.enter_context(home.held())
            _clear(home)
            credentials = load_credentials(home)
            web = exits.enter_context(listen_for_web(env))
            transcoder = exits.enter_context(listen())
            listeners = {"KHRONIKA_WEB_BIND": web, "KHRONIKA_TRANSCODER_BIND": transcoder}
            announce("starting Postgres and the broker")
            servers = exits.enter_context(running_servers(home, env, credentials, waiting=waiting))
            announce("bringing the schema up to date")
            _prepare_database(servers, env, credentials, waiting)
            ports = Ports(port_of(web), port_of(transcoder), free_port())
            environment = build_environment(home, env, servers, credentials, ports)
            prepare_storage(environment["STORAGE_URL"])
            if PROCESS in commands:
                site = exits.enter_context(listen_above(ports.web))
                listeners["KHRONIKA_SITE_BIND"] = site
                environment |= site_settings(home, environment, port_of(site))
            write_environment(home, environment)
            announce(f"starting {', '.join(commands)}")
            processes = exits.enter_context(
                running_processes(
                    commands,
                    home=home,
                    environments=_environments(commands, environment, listeners),
                    echo=echo,
                    keep_open=[listener.fileno() for listener in listeners.values()],
                )
            )
            stack = Stack(environment, processes)
            _wait_until_ready(stack, home, waiting)
            yield stack
        finally:
            ignore_signals()  # the clean-up is bounded and must be completed


def connect_to_running(home: Home) -> Stack | None:
    """Return the stack that another process runs from this home, if there is one."""
    if not home.environment.exists() or not home.is_held():
        return None
    return Stack(read_environment(home), processes=())


def _clear(home: Home) -> None:
    """End the processes of a killed run and remove its files."""
    end_leftovers(home)
    for folder in (home.run, home.scratch):
        shutil.rmtree(folder)
    home.make()


def _prepare_database(
    servers: Servers, env: Mapping[str, str], credentials: Mapping[str, str], waiting: Waiting
) -> None:
    """Migrate both schemas and set the generated passwords of the logins.

    The CPU time of a server on another machine is unknown here; such a migration is awaited for
    as long as it takes.
    """
    passwords = {
        role: credentials[f"{part}_password"]
        for part, role in ROLES.items()
        if not env.get(login_variable(part))
    }

    def prepare() -> str:
        migrate_all(servers.owner_url)
        # The embedded server is this home's alone: whatever password its roles have is an old one.
        grant_logins(servers.owner_url, passwords, even_if_shared=servers.postgres is not None)
        return ""

    pid = servers.postgres.pid if servers.postgres else None
    patience_sec = waiting.patience_sec if pid else math.inf
    migration = Awaited("the migrations", check=lambda: None, pid=pid, works_here=True)
    replace(waiting, patience_sec=patience_sec).until(prepare, migration)


def _environments(
    commands: Mapping[str, str],
    environment: Mapping[str, str],
    listeners: Mapping[str, socket.socket],
) -> Mapping[str, Mapping[str, str]]:
    """Return the environment of each process, with the sockets that it listens on."""
    binds = {name: f"fd://{listener.fileno()}" for name, listener in listeners.items()}
    whole = {**environment, **binds}
    return {name: environment_of(name, line, whole) for name, line in commands.items()}


def _wait_until_ready(stack: Stack, home: Home, waiting: Waiting) -> None:
    addresses = {"web": stack.base_url, "transcoder": stack.environment["KHRONIKA_SELFHOSTED_URL"]}
    pids = {process.name: process.child.pid for process in stack.processes}
    for name, url in addresses.items():
        check = partial(check_alive, stack.processes)
        process = Awaited(name, check, pids.get(name), home.logs / f"{name}.log")
        waiting.until(partial(_probe, f"{url}/readyz"), process)


def _probe(url: str) -> str:
    """Return the reason why a process is not ready; empty when it is."""
    try:
        answer = requests.get(url, timeout=PROBE_SEC)
    except requests.RequestException as error:
        return f"{url}: {type(error).__name__}"  # its text differs each time
    if answer.ok:
        return ""
    # A 503 says what is missing; other answers may differ each time.
    missing = answer.text[:2000] if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE else ""
    return f"{url}: {answer.status_code} {missing}"
