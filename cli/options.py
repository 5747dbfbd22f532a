"""Options and arguments that commands share, each described once."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

import typer

from cli.environment import DEFAULT_OWNER

_CONNECTION = "Connection"

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs: one document a line.")]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="KHRONIKA_URL",
        help="Where the API is. Default: the stack that runs from this checkout, else "
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
        help="Whom to be. Default: a token made for --owner with KHRONIKA_JWT_SECRET.",
        show_default=False,
        rich_help_panel=_CONNECTION,
    ),
]
Owner = Annotated[
    str,
    typer.Option(
        "--owner",
        help="Whom to be where no token is given.",
        rich_help_panel=_CONNECTION,
    ),
]
PostId = Annotated[
    UUID, typer.Argument(metavar="POST_ID", help="The post whose video it is.", show_default=False)
]
OWNER = DEFAULT_OWNER


def file_or_url(value: str) -> str | Path:
    """A path, or an address where it has a scheme such as ``https:`` or ``storage:``.

    Raises:
        typer.BadParameter: neither.
    """
    if urlsplit(value).scheme in ("http", "https", "storage"):
        return value
    path = Path(value)
    if not path.is_file():
        raise typer.BadParameter(f"{value} is neither a file nor an http(s) address.")
    return path
