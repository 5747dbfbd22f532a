"""The commands ``python -m stack up | demo | env``."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import requests
import typer
from rich.console import Console

from cli.api_requests import ApiProblem, ApiUnreachable
from cli.database_logins import LoginTaken
from pipeline.runtime.secret_files import SecretUnreadable
from pipeline.storage.urls import StorageUrlInvalid
from stack.broker import BrokerMissing
from stack.demo import CLIP, DemoFailed, send_video
from stack.demonstration_site import PROCFILE
from stack.home import CHECKOUT, AlreadyRunning, Home, locate_home
from stack.ports import PortTaken
from stack.postgres_location import NoPostgresLocation
from stack.process_environment import read_environment
from stack.processes import ProcessDied, last_lines
from stack.startup import Stack, connect_to_running, running_stack
from stack.stop_signals import StopRequested, stop_on_signals
from stack.supervisor import read_procfile
from stack.terminal import Terminal
from stack.waiting import PATIENCE_SEC, NoProgress, Waiting

FAILURES = (
    *(AlreadyRunning, BrokerMissing, LoginTaken, NoPostgresLocation, NoProgress),
    *(PortTaken, ProcessDied, SecretUnreadable, StorageUrlInvalid),
)

app = typer.Typer(
    help="Run the whole product on this machine.", no_args_is_help=True, add_completion=False
)


PRODUCT = CHECKOUT / "Procfile"
Procfiles = Annotated[
    list[Path],
    typer.Option(
        "--procfile",
        help="The processes to run; by default those of the product and the demonstration site.",
        exists=True,
        dir_okay=False,
        show_default=False,
    ),
]
Patience = Annotated[
    float,
    typer.Option(
        "--patience", min=1.0, help="Seconds without progress after which the start is given up."
    ),
]


@app.command()
def up(
    procfiles: Procfiles = [PRODUCT, PROCFILE],  # noqa: B006 - never changed
    patience: Patience = PATIENCE_SEC,
) -> None:
    """Run the stack in the foreground until Ctrl-C.

    Starts Postgres and the broker too, unless DATABASE_URL and BROKER_URL name others. PORT (8080,
    or the next free one) and STORAGE_URL may be set as well. All state is in .khronika of the
    checkout, or in KHRONIKA_HOME.
    """
    commands = {name: line for path in procfiles for name, line in read_procfile(path).items()}
    terminal = Terminal()
    width = max(map(len, commands))
    try:
        with (
            stop_on_signals(),
            running_stack(
                locate_home(os.environ),
                os.environ,
                commands=commands,
                echo=lambda name, line: terminal.print_line(f"{name:<{width}} | {line}"),
                announce=terminal.announce,
                waiting=Waiting(terminal.report_wait, patience),
            ) as stack,
        ):
            flower = stack.environment["KHRONIKA_FLOWER_PORT"]
            terminal.announce(f"flower at http://127.0.0.1:{flower}")
            terminal.announce(f"console at {stack.base_url}/ops; `khronika ops-link` signs you in")
            if site := stack.environment.get("KHRONIKA_SITE_URL"):
                terminal.announce(f"demonstration site at {site}/")
            terminal.announce(f"ready at {stack.base_url}")
            stack.watch()
    except StopRequested:
        terminal.announce("stopped")
    except FAILURES as error:
        _fail(terminal, error)


Video = Annotated[
    Path, typer.Option("--video", help="The video to send.", exists=True, dir_okay=False)
]


@app.command()
def demo(video: Video = CLIP) -> None:
    """Send a real video through the whole stack, and show its events.

    Starts the stack, uploads the video through the API, follows it until it is playable, fetches
    the outputs, and stops the stack. If a stack runs from this home already, uses it and leaves it
    running. The output of the processes goes to the folder logs of the home.
    """
    terminal = Terminal()
    home = locate_home(os.environ)
    try:
        with stop_on_signals(), _running_or_started(home, terminal) as stack:
            summary = send_video(stack, video, Console())
            terminal.print_line(f"  files    {stack.environment['STORAGE_URL']}")
            terminal.print_line(f"  logs     {home.logs}")
            terminal.print_line("  `make up` keeps the stack running; /docs describes its API")
        terminal.print_line(summary)
    except StopRequested as error:
        _fail(terminal, f"stopped by {error}")
    except DemoFailed as error:
        for name in ("submitter", "worker", "transcoder-worker"):
            lines = last_lines(home.logs / f"{name}.log")
            terminal.print_line(f"--- last lines of {name}.log:\n{lines}")
        _fail(terminal, error)
    except (ApiProblem, ApiUnreachable, requests.RequestException, *FAILURES) as error:
        _fail(terminal, error)


@contextmanager
def _running_or_started(home: Home, terminal: Terminal) -> Iterator[Stack]:
    stack = connect_to_running(home)
    if stack:
        terminal.announce(f"using the stack that runs at {stack.base_url}")
        yield stack
        return
    with running_stack(
        home,
        os.environ,
        commands=read_procfile(PRODUCT),
        echo=lambda _name, _line: None,
        announce=terminal.announce,
        waiting=Waiting(terminal.report_wait),
    ) as stack:
        terminal.announce(f"ready at {stack.base_url}")
        yield stack


@app.command()
def env() -> None:
    """Print the running stack's settings as shell exports.

    For: eval "$(python -m stack env)"
    """
    home, terminal = locate_home(os.environ), Terminal()
    if connect_to_running(home) is None:
        _fail(terminal, f"no stack is running from {home.root}; `make up` starts one")
    for name, value in read_environment(home).items():
        terminal.print_line(f"export {name}={shlex.quote(value)}")


def _fail(terminal: Terminal, reason: object) -> None:
    terminal.fail(str(reason))
    raise typer.Exit(1)
