"""The commands for servers' API keys. They use the database.

They import the modules of the pipeline when they run, as in ``cli.operator_commands``.
"""

import re
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from rich.text import Text

from cli.command_output import CommandOutput
from cli.options import parse_id, with_output
from cli.terminal_text import printable

if TYPE_CHECKING:
    from pipeline.records.models import ApiKey

app = typer.Typer(
    help="API keys of servers: `Authorization: Bearer khv_…`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

DURATION = re.compile(r"(?P<count>[1-9][0-9]{0,4})(?P<unit>[smhd])")
INSTANTS = {
    "created_at": "made",
    "expires_at": "expires",
    "last_used_at": "last used",
    "revoked_at": "revoked",
}
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _parse_duration(text: str) -> timedelta:
    """Read a duration such as ``90d``."""
    found = DURATION.fullmatch(text)
    if found is None:
        raise typer.BadParameter("Write it as up to five digits and s, m, h or d, such as 90d.")
    return timedelta(**{UNITS[found["unit"]]: int(found["count"])})


def _parse_owner(text: str) -> str:
    if not 0 < len(text) <= 128:  # noqa: PLR2004 - characters of owner_id
        raise typer.BadParameter("An owner's id has 1 to 128 characters.")
    return text


@app.command()
@with_output
def make(
    output: CommandOutput,
    *,
    name: Annotated[str, typer.Option(help="Name of the key, such as the server's.")],
    scope: Annotated[
        list[str],
        typer.Option(
            help="Permission of the key; repeat it for more. With --owner: assets:read, "
            "assets:write, playback. Without: operator:read, operator."
        ),
    ],
    owner: Annotated[
        str | None,
        typer.Option(
            parser=_parse_owner, metavar="ID", help="Owner that it acts as. Default: an operator."
        ),
    ] = None,
    expires_in: Annotated[
        timedelta | None,
        typer.Option(
            parser=_parse_duration,
            metavar="TIME",
            help="Time until it expires, such as 90d or 12h. Default: it does not expire.",
        ),
    ] = None,
) -> None:
    """Make a key and show it once; only its digest is stored.

    The key has its scopes until it expires or is revoked.
    """
    from cli.operator_session import current_operator, operator_session
    from pipeline.access.api_keys import NewKey, make_key

    operator = current_operator()
    with operator_session() as session:
        new_key = NewKey(name, owner, scope, expires_in)
        made = make_key(session, new_key, **asdict(operator))
    output.data({"key": made.key, **_document(made.row)})
    output.show(Text(made.key))
    output.show(_line(made.row))
    output.show("The key is not shown again.")


@app.command(name="list")
@with_output
def list_all(output: CommandOutput) -> None:
    """List all keys, newest first, without the keys themselves. With --json, one a line."""
    from cli.operator_session import operator_session
    from pipeline.access.api_keys import list_keys

    with operator_session() as session:
        keys = list_keys(session)
    for key in keys:
        output.data(_document(key))
        output.show(_line(key))
    if not keys:
        output.show("There are no keys. `khronika keys make` makes one.")


@app.command()
@with_output
def revoke(
    output: CommandOutput,
    key_id: Annotated[
        UUID, typer.Argument(metavar="ID", parser=parse_id, help="Id of the key, as listed.")
    ],
) -> None:
    """Revoke a key, at once and for good. Repeating it is no error."""
    from cli.operator_session import current_operator, operator_session
    from pipeline.access.api_keys import revoke_key

    operator = current_operator()
    with operator_session() as session:
        revoked = revoke_key(session, key_id, **asdict(operator))
    output.data(_document(revoked))
    output.show(_line(revoked))


def _document(key: "ApiKey") -> dict[str, Any]:
    return {name: getattr(key, name) for name in ("id", "name", "owner_id", "scopes", *INSTANTS)}


def _line(key: "ApiKey") -> Text:
    owner = f"of {key.owner_id}" if key.owner_id is not None else "of operators"
    instants = [
        f"{label} {instant:%Y-%m-%d %H:%M}"
        for name, label in INSTANTS.items()
        if (instant := getattr(key, name)) is not None
    ]
    line = f"{key.id}  {key.name} {owner}: {' '.join(key.scopes)}; {', '.join(instants)}"
    return Text(printable(line), "dim" if key.revoked_at else "")
