"""The options and arguments that several commands share, each declared once.

Two wrappers add the options that every command has: `with_output` adds ``--json``, `with_client`
adds the options of a connection as well. Typer reads a command's options from the signature of its
function, so a wrapper has the signature of both.
"""

import os
from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any
from uuid import UUID

import typer

from cli.client import ApiClient
from cli.command_errors import reporting
from cli.environment import DEFAULT_OWNER, api_address, complete_environment, make_token
from pipeline.runtime.ids import read_id

_CONNECTION = "Connection"

Json = Annotated[bool, typer.Option("--json", help="Print JSON, one document a line.")]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="KHRONIKA_URL",
        help="Address of the API. Default: the stack that runs from this checkout, else "
        "http://127.0.0.1:8080.",
        rich_help_panel=_CONNECTION,
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="KHRONIKA_TOKEN",
        help="Token of the caller, or a server's key. Default: a token for --owner, made with "
        "KHRONIKA_JWT_SECRET.",
        rich_help_panel=_CONNECTION,
    ),
]
Owner = Annotated[
    str,
    typer.Option(
        "--owner", help="Owner to act as, if no token is given.", rich_help_panel=_CONNECTION
    ),
]


def parse_id(text: str) -> UUID:
    """Read an id on a command line as the API reads it.

    Raises:
        BadParameter: it is none.
    """
    try:
        return read_id(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a valid UUID.") from None


PostId = Annotated[
    UUID,
    typer.Argument(
        metavar="POST_ID",
        parser=parse_id,
        help="Id of the post that the video belongs to.",
    ),
]
Provider = Annotated[str, typer.Argument(metavar="PROVIDER", help="Name of the provider account.")]
Limit = Annotated[int | None, typer.Option(min=1, help="The most videos to register or queue.")]

Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Change nothing; print the changes that a run would make.")
]

Command = Callable[..., None]


def with_output(command: Command) -> Command:
    """Add ``--json`` to a command and pass it a `CommandOutput` as its first argument."""

    def run(*, as_json: Json = False, **own_options: Any) -> None:
        with reporting(as_json=as_json) as output:
            command(output, **own_options)

    return _signed(run, command, passed=1)


def with_client(command: Command) -> Command:
    """Add ``--json``, ``--url``, ``--token`` and ``--owner`` to a command.

    Its first two arguments are a `CommandOutput` and an `ApiClient`.
    """

    def run(
        *,
        as_json: Json = False,
        url: Url = None,
        token: Token = None,
        owner: Owner = DEFAULT_OWNER,
        **own_options: Any,
    ) -> None:
        with reporting(as_json=as_json) as output, _connect(url, token, owner) as client:
            command(output, client, **own_options)

    return _signed(run, command, passed=2)


def _signed(run: Command, command: Command, *, passed: int) -> Command:
    """Give a wrapper the name, help and options of its command, before its own options.

    Args:
        run: The wrapper.
        command: The function it wraps.
        passed: Number of the command's arguments that the wrapper passes itself.
    """
    of_command = list(signature(command).parameters.values())[passed:]
    of_wrapper = signature(run).parameters.values()
    own = [each for each in of_wrapper if each.kind is Parameter.KEYWORD_ONLY]
    signed = wraps(command, assigned=("__module__", "__name__", "__doc__"))(run)
    signed.__signature__ = Signature([*of_command, *own])  # type: ignore[attr-defined] # PEP 362
    return signed


def _connect(url: str | None, token: str | None, owner: str) -> ApiClient:
    environment = complete_environment(os.environ)
    return ApiClient(url or api_address(environment), token or make_token(environment, owner))
