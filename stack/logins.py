"""The database logins: the roles of the processes, and their passwords."""

from collections.abc import Mapping

import psycopg
from psycopg import sql
from sqlalchemy import make_url

ROLES = {
    "api": "khronika_api",
    "worker": "khronika_worker",
    "operator": "khronika_operator",
    "public": "khronika_public",
    "transcoder": "khronika_transcoder",
}
"""The login of each part; the migrations make the roles and grant their rights."""


def login_variable(part: str) -> str:
    """Return the environment variable that names a part's login."""
    return f"KHRONIKA_{part.upper()}_DATABASE_URL"


def grant_logins(owner_url: str, passwords: Mapping[str, str]) -> None:
    """Let roles log in with passwords; idempotent.

    Args:
        owner_url: A login that made the roles, or a superuser.
        passwords: By role name.
    """
    with psycopg.connect(owner_url, autocommit=True) as connection:
        for role, password in passwords.items():
            set_login(connection, role, password)


def set_login(connection: psycopg.Connection, role: str, password: str) -> None:
    r"""Give an existing role LOGIN and a password.

    The verifier is computed here, as ``\password`` in psql does: the password reaches neither the
    wire nor the server's log.
    """
    verifier = connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    ).decode()
    connection.execute(
        sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(
            sql.Identifier(role), sql.Literal(verifier)
        )
    )


def login_url(database_url: str, role: str, password: str) -> str:
    """Return the address of the same database for another role."""
    url = make_url(database_url).set(username=role, password=password)
    return url.render_as_string(hide_password=False)
