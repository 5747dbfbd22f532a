"""Keys of servers: make one, see what there is, revoke one. Speaks to the database.

What they stand on is imported when they run, as in ``cli.operations``.
"""

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from rich.text import Text

from cli import options
from cli.outcomes import reporting
from cli.words import printable

if TYPE_CHECKING:
    from pipeline.models import ApiKey

app = typer.Typer(
    help="Keys of servers that call the API: `Authorization: Bearer khv_…`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

LIFE = re.compile(r"(?P<number>[1-9][0-9]{0,4})(?P<unit>[smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _life(given: str) -> timedelta:
    """A time as a person writes it, such as ``90d``."""
    found = LIFE.fullmatch(given)
    if found is None:
        raise typer.BadParameter("Write it as up to five digits and s, m, h or d, such as 90d.")
    return timedelta(**{UNITS[found["unit"]]: int(found["number"])})


def _owner(given: str) -> str:
    if not 0 < len(given) <= 128:  # noqa: PLR2004 - characters of owner_id
        raise typer.BadParameter("An owner's id has 1 to 128 characters.")
    return given


@app.command()
def make(
    *,
    name: Annotated[
        str, typer.Option(help="What it is called, such as the server's name.", show_default=False)
    ],
    scope: Annotated[
        list[str],
        typer.Option(
            help="What it may do; may be repeated. With --owner: assets:read, assets:write, "
            "playback. Without: operator:read, operator.",
            show_default=False,
        ),
    ],
    owner: Annotated[
        str | None,
        typer.Option(parser=_owner, metavar="ID", help="Whom it acts as. Default: an operator."),
    ] = None,
    expires_in: Annotated[
        timedelta | None,
        typer.Option(
            parser=_life, metavar="TIME", help="How long it is valid, such as 90d or 12h."
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Make a key and show it, once: it is kept nowhere.

    It may do what its scopes say until it expires or is revoked.
    """
    from cli.operator import operator_session, present_operator  # noqa: PLC0415 - see the top
    from pipeline.usecases.keys import NewKey, make_key  # noqa: PLC0415

    with reporting(as_json) as output:
        who = present_operator()
        with operator_session() as session:
            wanted = NewKey(name, owner, scope, expires_in)
            made = make_key(session, wanted, actor=who.actor, source=who.source)
        output.data({"key": made.key, **_document(made.row)})
        output.show(Text(made.key))
        output.show(_line(made.row))
        output.show("It is not shown again.")


@app.command(name="list")
def list_all(*, as_json: options.Json = False) -> None:
    """Show every key there was, newest first; never the key itself. With --json one a line."""
    from cli.operator import operator_session  # noqa: PLC0415 - see the top
    from pipeline.usecases.keys import list_keys  # noqa: PLC0415

    with reporting(as_json) as output:
        with operator_session() as session:
            keys = list_keys(session)
        for key in keys:
            output.data(_document(key))
            output.show(_line(key))
        if not keys:
            output.show("There are no keys. `khronika keys make` makes one.")


@app.command()
def revoke(
    key_id: Annotated[UUID, typer.Argument(metavar="ID", help="The key's id, as listed.")],
    *,
    as_json: options.Json = False,
) -> None:
    """Let a key open nothing any more, at once and for good. Twice is no error."""
    from cli.operator import operator_session, present_operator  # noqa: PLC0415 - see the top
    from pipeline.usecases.keys import revoke_key  # noqa: PLC0415

    with reporting(as_json) as output:
        who = present_operator()
        with operator_session() as session:
            revoked = revoke_key(session, key_id, actor=who.actor, source=who.source)
        output.data(_document(revoked))
        output.show(_line(revoked))


def _document(key: "ApiKey") -> dict[str, Any]:
    return {
        "id": str(key.id),
        "name": key.name,
        "owner_id": key.owner_id,
        "scopes": key.scopes,
        **{
            name: instant.isoformat() if (instant := getattr(key, name)) else None
            for name in ("created_at", "expires_at", "revoked_at", "last_used_at")
        },
    }


def _line(key: "ApiKey") -> Text:
    whose = f"of {key.owner_id}" if key.owner_id is not None else "of operators"
    state = [
        f"{word} {instant:%Y-%m-%d %H:%M}"
        for word, instant in (
            ("made", key.created_at),
            ("expires", key.expires_at),
            ("last used", key.last_used_at),
            ("revoked", key.revoked_at),
        )
        if instant is not None
    ]
    said = f"{key.id}  {key.name} {whose}: {' '.join(key.scopes)}; {', '.join(state)}"
    return Text(printable(said), "dim" if key.revoked_at else "")
