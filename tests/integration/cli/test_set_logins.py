"""The passwords of the roles, which belong to a whole server and so to every installation on it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from cli.database_logins import ROLES, LoginTaken, grant_logins, login_url, login_variable
from stack.servers import Servers
from stack.startup import _prepare_database
from stack.waiting import PATIENT
from tests.integration.cli.conftest import khronika
from tests.shared_run import Databases

ROLE = "khronika_of_this_test"


@pytest.fixture
def second_url(
    databases: Databases, postgres_url: str, request: pytest.FixtureRequest
) -> Iterator[str]:
    """An empty database on the server of another installation's."""
    name = f"khronika_second_{id(request)}"
    yield databases.make(name)
    databases.drop(name)


def logins_of(url: str, passwords: Mapping[str, str]) -> dict[str, str]:
    return {
        login_variable(part): login_url(url, role, passwords[role]) for part, role in ROLES.items()
    }


@pytest.fixture
def passwords(credentials: Mapping[str, str]) -> dict[str, str]:
    """The passwords of the first installation, by role."""
    return {role: credentials[f"{part}_password"] for part, role in ROLES.items()}


def test_a_second_installation_of_a_server_leaves_the_passwords_of_the_first(
    second_url: str, postgres_url: str, passwords: dict[str, str]
) -> None:
    others = dict.fromkeys(passwords, "another-password")
    env = {"DATABASE_URL": second_url, **logins_of(second_url, others)}
    ran = khronika("migrate", "--set-logins", "--json", env=env)
    assert (ran.code, ran.lines[-1]["error"]["code"]) == (2, "login_not_set")
    assert "another-password" not in ran.out + ran.err
    assert "_DATABASE_URL" in ran.lines[-1]["error"]["message"]
    for role, password in passwords.items():
        psycopg.connect(login_url(postgres_url, role, password)).close()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(login_url(postgres_url, "khronika_api", "another-password"))


def test_a_second_stack_leaves_them_too_and_does_not_start(
    second_url: str, postgres_url: str, broker_url: str, passwords: dict[str, str]
) -> None:
    others = {f"{part}_password": "another-password" for part in ROLES}
    servers = Servers(second_url, broker_url, None, None)
    with pytest.raises(LoginTaken):
        _prepare_database(servers, {}, others, PATIENT)
    for role, password in passwords.items():
        psycopg.connect(login_url(postgres_url, role, password)).close()


def test_a_second_installation_with_the_same_passwords_starts(
    second_url: str, passwords: dict[str, str], tmp_path: Path
) -> None:
    env = {"DATABASE_URL": second_url, **logins_of(second_url, passwords)}
    file = tmp_path / "api_database_url"
    file.write_text(env.pop("KHRONIKA_API_DATABASE_URL") + "\n")
    env["KHRONIKA_API_DATABASE_URL_FILE"] = str(file)
    ran = khronika("migrate", "--set-logins", "--json", env=env)
    assert (ran.code, ran.lines[-1]) == (0, {"logins": sorted(ROLES.values())})


@pytest.fixture
def role(databases: Databases, second_url: str) -> Iterator[str]:
    """A role without a password, with a right in the second database alone."""
    with psycopg.connect(databases.admin_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
        owner = psycopg.conninfo.conninfo_to_dict(second_url)["user"]
        connection.execute(
            sql.SQL("GRANT {} TO {} WITH ADMIN OPTION").format(
                sql.Identifier(ROLE), sql.Identifier(str(owner))
            )
        )
    give_rights(second_url)
    yield ROLE
    for name in ("khronika_second", "khronika_test"):
        with psycopg.connect(databases.admin_url) as connection:
            found = connection.execute(
                "SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{name}%"]
            ).fetchall()
        for (database,) in found:
            with psycopg.connect(databases.admin_url_of(database)) as connection:
                connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(ROLE)))
    with psycopg.connect(databases.admin_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(ROLE)))


def give_rights(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS of_a_test (); GRANT SELECT ON of_a_test TO {ROLE}"
        )


def test_a_role_of_one_installation_gets_its_password_and_later_a_new_one(
    second_url: str, role: str
) -> None:
    for password in ("the-first", "the-second"):
        grant_logins(second_url, {role: password})
        psycopg.connect(login_url(second_url, role, password)).close()


def test_a_password_is_not_replaced_once_the_role_has_rights_in_another_database(
    second_url: str, postgres_url: str, role: str
) -> None:
    grant_logins(postgres_url, {role: "the-first"}, even_if_shared=True)
    with pytest.raises(LoginTaken, match=role):
        grant_logins(postgres_url, {role: "the-second"})
    psycopg.connect(login_url(second_url, role, "the-first")).close()


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"KHRONIKA_API_DATABASE_URL": "postgresql://khronika_worker:pw@127.0.0.1/x"},
        {"KHRONIKA_API_DATABASE_URL": "postgresql://khronika_api@127.0.0.1/x"},
    ],
    ids=["no URL", "another role", "no password"],
)
def test_a_url_that_gives_no_password_is_named(second_url: str, env: Mapping[str, str]) -> None:
    ran = khronika("migrate", "--set-logins", env={"DATABASE_URL": second_url, **env})
    assert (ran.code, "login_not_set" in ran.err) == (2, True)
    assert all(name in ran.err for name in env)
