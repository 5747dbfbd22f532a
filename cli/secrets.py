"""The secrets that callbacks are verified with: see, rotate, retire. Speaks to the database.

What they stand on is imported when they run, as in ``cli.operations``.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from cli import options
from cli.outcomes import CommandFailed, Exit, reporting

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from pipeline.models import ProviderSecret

app = typer.Typer(
    help="Secrets that providers' callbacks are verified with: two of an account at the most.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Provider = Annotated[
    str, typer.Argument(metavar="PROVIDER", help="The account's name.", show_default=False)
]


@app.command(name="list")
def show(*, as_json: options.Json = False) -> None:
    """List the secrets there are and were, newest first, without what they are."""
    from cli.operator import operator_session  # noqa: PLC0415 - see the top
    from pipeline.usecases.secrets import list_secrets  # noqa: PLC0415

    with reporting(as_json) as output:
        with operator_session() as session:
            rows = [_described(row) for row in list_secrets(session)]
        table = Table("provider", "id", "state", "made", "retires")
        for row in rows:
            output.data(row)
            table.add_row(*(str(row[name] or "") for name in row))
        output.show(table)


@app.command()
def rotate(
    provider: Provider,
    *,
    from_stdin: Annotated[
        bool,
        typer.Option(
            "--stdin", help="Take the new secret, which the provider made, from standard input."
        ),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Make a new secret and show it, this once.

    The one before verifies on for KHRONIKA_CALLBACK_SECRET_OVERLAP_SEC (48 h): bring the new one to
    the provider meanwhile. If the old one is known to others, `retire` it as soon as you have.
    """
    from cli.operator import configured, present_operator  # noqa: PLC0415 - see the top
    from pipeline.net.signatures import SecretMalformed  # noqa: PLC0415
    from pipeline.secret_book import vault_of  # noqa: PLC0415
    from pipeline.usecases.secrets import rotate_secret  # noqa: PLC0415

    with reporting(as_json) as output:
        settings = configured()
        given = sys.stdin.readline().strip() if from_stdin else None
        try:
            with _session_for(provider) as session:
                rotated = rotate_secret(
                    session,
                    vault_of(settings),
                    provider,
                    overlap_sec=settings.callback_secret_overlap_sec,
                    actor=present_operator().actor,
                    given=given,
                )
        except SecretMalformed as error:
            step = "Give it as the provider shows it: whsec_ and base64."
            raise CommandFailed(Exit.USAGE, "secret_malformed", str(error), step) from None
        ends = rotated.previous_retires_at
        output.data(
            {
                "provider": provider,
                "id": str(rotated.id),
                "secret": rotated.secret if given is None else None,
                "previous_retires_at": _instant(ends),
            }
        )
        output.show(Text(rotated.secret if given is None else "stored"))
        if ends is not None:
            output.show(f"the one before verifies until {_instant(ends)}")


@app.command()
def retire(provider: Provider, *, as_json: options.Json = False) -> None:
    """End the overlap of a rotation now: only the newest secret verifies from here on."""
    from cli.operator import present_operator  # noqa: PLC0415 - see the top
    from pipeline.usecases.secrets import retire_secret  # noqa: PLC0415

    with reporting(as_json) as output:
        with _session_for(provider) as session:
            retired = retire_secret(session, provider, actor=present_operator().actor)
        output.data({"provider": provider, "retired": str(retired)})
        output.show(f"retired: {retired}")


@contextmanager
def _session_for(provider: str) -> "Iterator[Session]":
    """An operator's transaction about a configured account, whose first secrets are taken over."""
    from cli.operator import configured, operator_session  # noqa: PLC0415 - see the top
    from pipeline.errors import NotFound  # noqa: PLC0415
    from pipeline.secret_book import first_secrets, vault_of  # noqa: PLC0415
    from pipeline.usecases.secrets import seed_secrets  # noqa: PLC0415

    settings = configured()
    first = first_secrets(settings)
    if provider not in first:
        raise NotFound("unknown_provider", f"There is no provider {provider!r}.")
    with operator_session() as session:
        overlap_sec = settings.callback_secret_overlap_sec
        seed_secrets(
            session, vault_of(settings), provider, first[provider], overlap_sec=overlap_sec
        )
        yield session


def _described(row: "ProviderSecret") -> dict[str, Any]:
    return {
        "provider": row.provider,
        "id": str(row.id),
        "state": _state(row.retires_at),
        "created_at": _instant(row.created_at),
        "retires_at": _instant(row.retires_at),
    }


def _state(retires_at: datetime | None) -> str:
    if retires_at is None:
        return "current"
    return "retiring" if retires_at > datetime.now(UTC) else "retired"


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")
