"""The options and arguments that several commands share, each declared once."""

from typing import Annotated
from uuid import UUID

import typer

_CONNECTION = "Connection"

Json = Annotated[bool, typer.Option("--json", help="Print JSON, one document a line.")]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="KHRONIKA_URL",
        help="Address of the API. Default: the stack that runs from this checkout, else "
        "http://127.0.0.1:8080.",
        show_default=False,
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
        show_default=False,
        rich_help_panel=_CONNECTION,
    ),
]
Owner = Annotated[
    str,
    typer.Option(
        "--owner",
        help="Owner to act as, if no token is given.",
        rich_help_panel=_CONNECTION,
    ),
]
PostId = Annotated[
    UUID,
    typer.Argument(
        metavar="POST_ID", help="Id of the post that the video belongs to.", show_default=False
    ),
]
Provider = Annotated[
    str,
    typer.Argument(metavar="PROVIDER", help="Name of the provider account.", show_default=False),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Change nothing; print the changes that a run would make.")
]
