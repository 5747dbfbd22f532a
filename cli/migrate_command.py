"""The command that migrates the database, with the owner's login."""

import logging
import os
from typing import Annotated

import typer

from cli.command_errors import CommandFailed, ExitCode
from cli.command_output import CommandOutput
from cli.environment import complete_environment
from cli.options import with_output
from cli.schema_names import SchemaName

VARIABLE = "DATABASE_URL"


@with_output
def migrate(
    output: CommandOutput,
    *,
    schema: Annotated[
        SchemaName | None,
        typer.Option("--schema", help="Migrate this schema alone. Default: both."),
    ] = None,
    set_logins: Annotated[
        bool,
        typer.Option(
            "--set-logins",
            help="Let the roles log in with the passwords of the URLs that this command is given: "
            "KHRONIKA_API_DATABASE_URL and its like.",
        ),
    ] = False,
) -> None:
    """Bring the database to the newest schema, that of this code; idempotent.

    It needs the owner's login, DATABASE_URL or DATABASE_URL_FILE, which no process of the product
    has: set it for this command alone. It makes the roles that are missing, without a password;
    --set-logins gives them theirs. Roles belong to the whole server: the password of one that
    another installation uses is never changed.
    Each schema is migrated in one transaction; a second run waits for the first. Run it before the
    processes of a new version start.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from cli.database_schemas import migrate_schemas

    owner_url = _owner_url()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")  # revoked rights
    try:
        for each in migrate_schemas(owner_url, [schema] if schema else SchemaName):
            output.data({"schema": each.schema, "was": each.before, "revision": each.revision})
            output.show(f"{each.schema}: at {each.revision} (was {each.before or 'new'})")
        if set_logins:
            _set_logins(output, owner_url)
    except SQLAlchemyError as error:
        sentence = str(getattr(error, "orig", None) or error).strip()
        raise CommandFailed(
            ExitCode.UNREACHABLE,
            "database_unavailable",
            sentence,
            f"Check {VARIABLE}: the owner's login, past any pooler. The schema is unchanged.",
        ) from None


def _set_logins(output: CommandOutput, owner_url: str) -> None:
    """Give the roles of the URLs in the environment their passwords.

    Raises:
        CommandFailed: there is no such URL, one is another role's, or another installation uses
            the role.
    """
    from cli.database_logins import LoginTaken, grant_logins, passwords_given

    try:
        passwords = passwords_given(complete_environment(os.environ))
        grant_logins(owner_url, passwords)
    except (LoginTaken, ValueError) as error:
        raise CommandFailed(
            ExitCode.USAGE,
            "login_not_set",
            f"{error}.",
            "Give the URLs of the roles, each with its own name and a password. In a server with "
            "two installations both use the same passwords; psql's \\password changes one.",
        ) from None
    output.data({"logins": sorted(passwords)})
    output.show(f"logins: {', '.join(sorted(passwords))}")


def _owner_url() -> str:
    """Read the owner's login.

    Raises:
        CommandFailed: there is none.
        SecretUnreadable: its file cannot be read.
    """
    from pipeline.runtime.secret_files import read_secret

    url = read_secret(complete_environment(os.environ), VARIABLE)
    if not url:
        raise CommandFailed(
            ExitCode.USAGE,
            "not_configured",
            f"{VARIABLE} is not set.",
            f"Set {VARIABLE} or {VARIABLE}_FILE to the owner's login, for this command alone.",
        )
    return url
