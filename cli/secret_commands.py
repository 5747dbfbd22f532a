"""The commands for callback secrets. They use the database.

They import the modules of the pipeline when they run, as in ``cli.operator_commands``.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from cli.command_errors import CommandFailed, ExitCode
from cli.command_output import CommandOutput
from cli.options import Provider, with_output

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from pipeline.process_settings import OperatorSettings
    from pipeline.records.models import ProviderSecret

app = typer.Typer(
    help="Secrets that verify providers' callbacks: at most two of an account verify at a time.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@app.command(name="list")
@with_output
def list_all(output: CommandOutput) -> None:
    """List present and past secrets, newest first, without their values."""
    from cli.operator_session import operator_session
    from pipeline.providers.callback_secrets import list_secrets

    with operator_session() as session:
        rows = [_document(row) for row in list_secrets(session)]
    table = Table("provider", "id", "state", "made", "retires")
    for row in rows:
        output.data(row)
        table.add_row(*(str(value or "") for value in row.values()))
    output.show(table)


@app.command()
@with_output
def rotate(
    output: CommandOutput,
    provider: Provider,
    *,
    from_stdin: Annotated[
        bool,
        typer.Option(
            "--stdin", help="Read the new secret, made by the provider, from standard input."
        ),
    ] = False,
) -> None:
    """Make a new secret and show it once.

    The previous secret verifies for another KHRONIKA_CALLBACK_SECRET_OVERLAP_SEC (48 h). Give the
    provider the new secret within that time. If the previous secret has leaked, `retire` it as soon
    as the provider has the new one.
    """
    from cli.operator_session import current_operator, operator_settings
    from pipeline.net.signatures import SecretMalformed
    from pipeline.providers.active_secrets import vault_of
    from pipeline.providers.callback_secrets import rotate_secret

    settings, operator = operator_settings(), current_operator()
    given = sys.stdin.readline().strip() if from_stdin else None
    try:
        with _provider_session(provider) as session:
            rotated = rotate_secret(
                session,
                vault_of(settings.media_urls.accepted_keys),
                provider,
                overlap_sec=settings.callback_secrets.callback_secret_overlap_sec,
                actor=operator.actor,
                source=operator.source,
                request_id=operator.request_id,
                secret=_new_secret(settings, provider, given),
            )
    except SecretMalformed as error:
        step = "Give it with --stdin, as the provider shows it."
        raise CommandFailed(ExitCode.USAGE, "secret_malformed", str(error), step) from None
    retires_at = _instant(rotated.previous_retires_at)
    output.data(
        {
            "provider": provider,
            "id": str(rotated.id),
            "secret": rotated.secret if given is None else None,
            "previous_retires_at": retires_at,
        }
    )
    output.show(Text(rotated.secret if given is None else "stored"))
    if retires_at is not None:
        output.show(f"the previous secret verifies until {retires_at}")


@app.command()
@with_output
def retire(output: CommandOutput, provider: Provider) -> None:
    """End the overlap of a rotation: from now on only the newest secret verifies."""
    from cli.operator_session import current_operator
    from pipeline.providers.callback_secrets import retire_secret

    by = asdict(current_operator())
    with _provider_session(provider) as session:
        retired = retire_secret(session, provider, **by)
    output.data({"provider": provider, "retired": str(retired)})
    output.show(f"retired: {retired}")


def _new_secret(settings: "OperatorSettings", provider: str, given: str | None) -> str:
    """Return the given secret, or one that the adapter makes.

    Raises:
        SecretMalformed: it cannot be a secret of this account, or only its provider makes one.
    """
    from pipeline.net.signatures import SecretMalformed
    from pipeline.providers.registry import adapter_named

    adapters = {name.name: name.adapter for name in settings.accounts.names}
    form = adapter_named(adapters[provider]).secrets
    if given is None and form.make is None:
        raise SecretMalformed("the secrets of this account are made by its provider")
    secret = form.make() if given is None and form.make else str(given)
    form.check(secret)
    return secret


@contextmanager
def _provider_session(provider: str) -> "Iterator[Session]":
    """Open an operator's transaction, after storing the account's first secrets if needed.

    Raises:
        NotFound: no account has this name.
    """
    from cli.operator_session import operator_session, operator_settings
    from pipeline.domain.errors import NotFound
    from pipeline.providers.active_secrets import first_secrets, vault_of
    from pipeline.providers.callback_secrets import seed_secrets

    settings = operator_settings()
    first = first_secrets(settings.accounts)
    if provider not in first:
        raise NotFound("unknown_provider", f"There is no provider {provider!r}.")
    with operator_session() as session:
        overlap_sec = settings.callback_secrets.callback_secret_overlap_sec
        seed_secrets(
            session,
            vault_of(settings.media_urls.accepted_keys),
            provider,
            first[provider],
            overlap_sec=overlap_sec,
        )
        yield session


def _document(row: "ProviderSecret") -> dict[str, Any]:
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


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat(timespec="seconds")
