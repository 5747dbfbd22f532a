"""The database logins: the roles of the processes, and their passwords."""

from collections.abc import Mapping

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from pipeline.runtime.secret_files import read_secret

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


class LoginTaken(Exception):
    """Refusal to change a password that another installation of the same server uses."""


def grant_logins(
    owner_url: str, passwords: Mapping[str, str], *, even_if_shared: bool = False
) -> None:
    """Let roles log in with passwords; idempotent.

    A role belongs to the whole server, so that an installation in another database of the server
    logs in with the same password. It is not changed there.

    Args:
        owner_url: A login that made the roles, or a superuser.
        passwords: By role name.
        even_if_shared: Change the password of a role of another installation too.

    Raises:
        LoginTaken: a role of another installation has another password. No password is changed.
    """
    with psycopg.connect(owner_url, autocommit=True) as connection:
        free = {
            role: password
            for role, password in passwords.items()
            if even_if_shared or not _is_shared(connection, role)
        }
        for role in passwords.keys() - free.keys():
            _require_login(owner_url, role, passwords[role])
        for role, password in free.items():
            set_login(connection, role, password)


def _is_shared(connection: psycopg.Connection, role: str) -> bool:
    """Return True for a role that has rights in another database of the server."""
    found = connection.execute(
        """
        SELECT EXISTS (
            SELECT FROM pg_shdepend AS dependency
              JOIN pg_roles AS role ON role.oid = dependency.refobjid
              JOIN pg_database AS database ON database.oid = dependency.dbid
             WHERE dependency.refclassid = 'pg_authid'::regclass
               AND role.rolname = %s AND database.datname <> current_database()
        )
        """,
        [role],
    ).fetchone()
    return found == (True,)


def _require_login(owner_url: str, role: str, password: str) -> None:
    """Require that a role can log in with a password."""
    try:
        psycopg.connect(login_url(owner_url, role, password)).close()
    except psycopg.OperationalError:
        variable = login_variable(role.removeprefix("khronika_"))
        raise LoginTaken(
            f"{role} belongs to another database of this server too, and has another password;"
            f" name its login in {variable}"
        ) from None


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


def passwords_given(env: Mapping[str, str]) -> dict[str, str]:
    """Return the password of each role whose URL an environment has, or names the file of.

    Raises:
        ValueError: there is none, or a URL has another role or no password.
        SecretUnreadable: a file cannot be read.
    """
    found: dict[str, str] = {}
    for part, role in ROLES.items():
        variable = login_variable(part)
        if not (given := read_secret(env, variable)):
            continue
        url = make_url(given)
        if url.username != role or not url.password:
            raise ValueError(f"{variable} is not the URL of {role} with a password")
        found[role] = str(url.password)
    if not found:
        raise ValueError("no URL of a role is given")
    return found


def login_url(database_url: str, role: str, password: str) -> str:
    """Return the address of the same database for another role."""
    url = make_url(database_url).set(username=role, password=password)
    return url.render_as_string(hide_password=False)
