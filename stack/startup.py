"""A whole stack: from an empty folder to a green ``/readyz``, and down again."""

import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import requests

from stack.credentials import load_credentials
from stack.demonstration_site import PROCESS, site_settings
from stack.home import Home
from stack.logins import ROLES, grant_logins, login_variable
from stack.ports import free_port, listen, listen_above, listen_for_web, port_of
from stack.process_environment import (
    Ports,
    build_environment,
    read_environment,
    with_secrets_read,
    write_environment,
)
from stack.schema import migrate_all
from stack.servers import Servers, running_servers
from stack.stop_signals import ignore_signals
from stack.supervisor import (
    Echo,
    SupervisedProcess,
    check_alive,
    end_leftovers,
    running_processes,
)

READY_SEC = 60.0
PROBE_SEC = 2.0
"""One ``/readyz``; it asks Postgres and the broker, which answer in milliseconds."""

Announce = Callable[[str], None]
"""Called with what begins now."""


class NotReady(Exception):
    """The processes run, but ``/readyz`` did not turn green in time; says what it answered."""


@dataclass(frozen=True)
class Stack:
    """A running stack.

    Attributes:
        environment: Its settings, as its processes have them.
        processes: Those of the Procfile.
    """

    environment: Mapping[str, str]
    processes: Sequence[SupervisedProcess]

    @property
    def base_url(self) -> str:
        """Where its API is on this machine, whatever address outsiders use."""
        return f"http://127.0.0.1:{self.environment['PORT']}"

    def watch(self) -> None:
        """Return never; raise when a process dies.

        Raises:
            ProcessDied: one has.
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
) -> Iterator[Stack]:
    """Run everything for the length of the block; what was started stops with it.

    Args:
        home: Where its state lives; held until the end.
        env: The caller's environment.
        commands: The processes, from ``read_procfile``. The demonstration site gets its port and
            settings where it is among them.
        echo: Gets the processes' output.
        announce: Gets a line per stage.

    Raises:
        AlreadyRunning: another stack runs from this home.
        PortTaken: ``PORT`` is in use.
        SecretUnreadable: a file that ``env`` names in place of a secret does not hold one.
        StorageUrlInvalid: ``STORAGE_URL`` names a bucket in a way that is not understood.
        ServerFailed: Postgres or the broker did not start.
        ProcessDied: a process ended at its start.
        NotReady: it did not become ready.
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
            servers = exits.enter_context(running_servers(home, env, credentials))
            announce("bringing the schema up to date")
            _prepare_database(servers, env, credentials)
            ports = Ports(port_of(web), port_of(transcoder), free_port())
            environment = build_environment(home, env, servers, credentials, ports)
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
                    env=_for_processes(environment, listeners),
                    echo=echo,
                    keep_open=[listener.fileno() for listener in listeners.values()],
                )
            )
            stack = Stack(environment, processes)
            _wait_until_ready(stack)
            yield stack
        finally:
            ignore_signals()  # what follows is bounded and must be completed


def connect_to_running(home: Home) -> Stack | None:
    """The stack that runs from this home in another process, if one does."""
    if not home.environment.exists() or not home.is_held():
        return None
    return Stack(read_environment(home), processes=())


def _clear(home: Home) -> None:
    """End what a killed run left, and forget it."""
    end_leftovers(home)
    for folder in (home.run, home.scratch):
        shutil.rmtree(folder)
    home.make()


def _prepare_database(
    servers: Servers, env: Mapping[str, str], credentials: Mapping[str, str]
) -> None:
    migrate_all(servers.owner_url)
    ours = {part: role for part, role in ROLES.items() if not env.get(login_variable(part))}
    grant_logins(
        servers.owner_url, {role: credentials[f"{part}_password"] for part, role in ours.items()}
    )


def _for_processes(
    environment: Mapping[str, str], listeners: Mapping[str, socket.socket]
) -> dict[str, str]:
    """The settings, with the sockets to listen on and without the owner of the schema.

    Only migrations need the owner, and they are done.
    """
    binds = {name: f"fd://{listener.fileno()}" for name, listener in listeners.items()}
    return {k: v for k, v in environment.items() if k != "DATABASE_URL"} | binds


def _wait_until_ready(stack: Stack) -> None:
    deadline = time.monotonic() + READY_SEC
    for url in (stack.base_url, stack.environment["KHRONIKA_SELFHOSTED_URL"]):
        while (answer := _probe(f"{url}/readyz")) != "":
            check_alive(stack.processes)
            if time.monotonic() > deadline:
                raise NotReady(f"{url}/readyz was not green after {READY_SEC:.0f} s: {answer}")
            time.sleep(0.1)
    check_alive(stack.processes)


def _probe(url: str) -> str:
    """Why it is not ready; empty when it is."""
    try:
        answer = requests.get(url, timeout=PROBE_SEC)
    except requests.RequestException as error:
        return str(error)
    return "" if answer.ok else f"{answer.status_code} {answer.text[:2000]}"
