"""The commands: ``python -m stack up | demo | env``."""

import os
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import requests
import typer
from rich.console import Console

from cli.api_requests import ApiProblem, ApiUnreachable
from pipeline.runtime.secret_files import SecretUnreadable
from pipeline.storage.urls import StorageUrlInvalid
from stack.demo import CLIP, DemoFailed, send_video
from stack.demonstration_site import PROCFILE
from stack.home import CHECKOUT, AlreadyRunning, Home, locate_home
from stack.ports import PortTaken
from stack.postgres import ServerFailed
from stack.postgres_location import NoPostgresLocation
from stack.process_environment import read_environment
from stack.processes import last_lines
from stack.startup import NotReady, Stack, connect_to_running, running_stack
from stack.stop_signals import StopRequested, stop_on_signals
from stack.supervisor import Echo, ProcessDied, read_procfile

FAILURES = (
    *(AlreadyRunning, NoPostgresLocation, NotReady, PortTaken, ProcessDied),
    *(SecretUnreadable, ServerFailed, StorageUrlInvalid),
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


@app.command()
def up(procfiles: Procfiles = [PRODUCT, PROCFILE]) -> None:  # noqa: B006 - never changed
    """Run the stack in the foreground until Ctrl-C.

    Postgres and the broker are started too, unless DATABASE_URL and BROKER_URL name others.
    PORT (8080, or the next that is free) and STORAGE_URL may be set as well. Everything it keeps
    is in .khronika of the checkout, or in KHRONIKA_HOME.
    """
    commands = {name: line for path in procfiles for name, line in read_procfile(path).items()}
    home = locate_home(os.environ)
    echo = _prefixed(max(len(name) for name in commands))
    try:
        with (
            stop_on_signals(),
            running_stack(
                home, os.environ, commands=commands, echo=echo, announce=_announce
            ) as stack,
        ):
            flower = stack.environment["KHRONIKA_FLOWER_PORT"]
            _announce(f"flower at http://127.0.0.1:{flower}")
            _announce(f"console at {stack.base_url}/ops; `khronika ops-link` signs you in")
            if site := stack.environment.get("KHRONIKA_SITE_URL"):
                _announce(f"a small site to try it with at {site}/")
            _announce(f"ready at {stack.base_url}")
            stack.watch()
    except StopRequested:
        _announce("stopped")
    except FAILURES as error:
        _fail(str(error))


Video = Annotated[
    Path, typer.Option("--video", help="The video to send.", exists=True, dir_okay=False)
]


@app.command()
def demo(video: Video = CLIP) -> None:
    """Send a real video through the whole stack, and show what happens to it.

    Starts the stack, uploads the video through the API, follows it until it is playable, fetches
    what came out, and stops what it started. A stack that runs from this home already is used
    and left running. What the processes say goes to the folder logs of the home.
    """
    console = Console()
    home = locate_home(os.environ)
    try:
        with stop_on_signals(), _running_or_started(home) as stack:
            summary = send_video(stack, video, console)
            _say_where_to_look(home, stack)
        typer.echo(summary)
    except StopRequested as error:
        _fail(f"stopped by {error}")
    except DemoFailed as error:
        for name in ("worker", "transcoder-worker"):
            typer.echo(f"--- last lines of {name}.log:\n{last_lines(home.logs / f'{name}.log')}")
        _fail(str(error))
    except (ApiProblem, ApiUnreachable, requests.RequestException, *FAILURES) as error:
        _fail(str(error))


@contextmanager
def _running_or_started(home: Home) -> Iterator[Stack]:
    stack = connect_to_running(home)
    if stack:
        _announce(f"using the stack that runs at {stack.base_url}")
        yield stack
        return
    commands = read_procfile(PRODUCT)
    with running_stack(
        home, os.environ, commands=commands, echo=lambda _name, _line: None, announce=_announce
    ) as stack:
        _announce(f"ready at {stack.base_url}")
        yield stack


def _say_where_to_look(home: Home, stack: Stack) -> None:
    typer.echo(f"  files    {stack.environment['STORAGE_URL']}")
    typer.echo(f"  logs     {home.logs}")
    typer.echo("  `make up` keeps the stack running: its API is described at /docs")


@app.command()
def env() -> None:
    """Print the running stack's settings as shell exports.

    For: eval "$(python -m stack env)"
    """
    home = locate_home(os.environ)
    if connect_to_running(home) is None:
        _fail(f"no stack is running from {home.root}; `make up` starts one")
    for name, value in read_environment(home).items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def _announce(message: str) -> None:
    typer.echo(f"khronika: {message}")


def _fail(message: str) -> None:
    typer.echo(f"khronika: {message}", err=True)
    raise typer.Exit(1)


def _prefixed(width: int) -> Echo:
    """Prints lines as ``name | line``; whole lines, whichever threads they come from."""
    lock = threading.Lock()

    def echo(name: str, line: str) -> None:
        with lock:
            typer.echo(f"{name:<{width}} | {line}")

    return echo
