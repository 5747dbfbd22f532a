"""The commands: ``python -m stack up | demo | env``."""

import os
import shlex
import threading
from pathlib import Path
from typing import Annotated

import typer

from stack.environment import read_environment
from stack.home import CHECKOUT, AlreadyRunning, locate_home
from stack.lifecycle import NotReady, connect_to_running, running_stack
from stack.ports import PortTaken
from stack.postgres import ServerFailed
from stack.postgres_place import NoPlace
from stack.signals import StopRequested, stop_on_signals
from stack.supervisor import Echo, ProcessDied, read_procfile

FAILURES = (AlreadyRunning, NoPlace, NotReady, PortTaken, ProcessDied, ServerFailed)

app = typer.Typer(
    help="Run the whole product on this machine.", no_args_is_help=True, add_completion=False
)


Procfile = Annotated[
    Path, typer.Option("--procfile", help="The processes to run.", exists=True, dir_okay=False)
]


@app.command()
def up(procfile: Procfile = CHECKOUT / "Procfile") -> None:
    """Run the stack in the foreground until Ctrl-C.

    Postgres and the broker are started too, unless DATABASE_URL and BROKER_URL name others.
    PORT (8080, or the next that is free) and STORAGE_URL may be set as well. Everything it keeps
    is in .khronika of the checkout, or in KHRONIKA_HOME.
    """
    commands = read_procfile(procfile)
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
            _announce(f"ready at {stack.base_url}")
            stack.watch()
    except StopRequested:
        _announce("stopped")
    except FAILURES as error:
        _fail(str(error))


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
