import pytest

from stack.home import CHECKOUT
from stack.process_variables import ROOTS, environment_of
from stack.supervisor import read_procfile

COMMANDS = read_procfile(CHECKOUT / "Procfile")
LIBRARIES = {"AWS_PROFILE", "PGPASSWORD"}
WHOLE = {
    "PATH": "/usr/bin",
    "AWS_PROFILE": "videos",
    "PGPASSWORD": "database",
    "FLOWER_BASIC_AUTH": "operator",
    "KHRONIKA_ENV": "development",
    "PORT": "8080",
    "DATABASE_URL": "owner",
    "BROKER_URL": "broker",
    "KHRONIKA_HOME": "/home/k",
    "KHRONIKA_JWT_SECRET": "jwt",
    "KHRONIKA_SECRET_KEY": "key",
    "KHRONIKA_API_DATABASE_URL": "api",
    "KHRONIKA_WORKER_DATABASE_URL": "worker",
    "KHRONIKA_OPERATOR_DATABASE_URL": "operator",
    "KHRONIKA_TRANSCODER_DATABASE_URL": "transcoder",
    "KHRONIKA_SITE_JWT_SECRET": "jwt",
}


def test_every_process_of_the_procfile_has_settings() -> None:
    assert ROOTS.keys() == COMMANDS.keys()


@pytest.mark.parametrize(
    ("name", "own"),
    [
        (
            "web",
            {
                "AWS_PROFILE",
                "PGPASSWORD",
                "PORT",
                "BROKER_URL",
                "KHRONIKA_JWT_SECRET",
                "KHRONIKA_SECRET_KEY",
            },
        ),
        (
            "worker",
            {
                "AWS_PROFILE",
                "PGPASSWORD",
                "PORT",
                "BROKER_URL",
                "KHRONIKA_SECRET_KEY",
                "KHRONIKA_WORKER_DATABASE_URL",
            },
        ),
        ("beat", {"PORT", "BROKER_URL", "KHRONIKA_HOME", "KHRONIKA_SECRET_KEY"}),
        ("flower", {"BROKER_URL", "FLOWER_BASIC_AUTH"}),
        (
            "transcoder-worker",
            LIBRARIES | {"BROKER_URL", "KHRONIKA_TRANSCODER_DATABASE_URL"},
        ),
    ],
)
def test_a_process_is_given_its_own_variables_and_the_rest_of_the_callers_environment(
    name: str, own: set[str]
) -> None:
    logins = {"KHRONIKA_API_DATABASE_URL", "KHRONIKA_OPERATOR_DATABASE_URL"}
    expected = own | {"PATH", "KHRONIKA_ENV"} | (logins if name == "web" else set())
    assert environment_of(name, COMMANDS[name], WHOLE).keys() == expected


def test_a_command_line_declares_the_variables_that_it_mentions() -> None:
    line = 'python serve.py --port "${PORT:-80}" KHRONIKA_HOME'
    found = environment_of("another", line, WHOLE)
    assert found.keys() == {"PATH", "PORT", "KHRONIKA_HOME"}


def test_the_site_is_given_every_variable_with_its_prefix() -> None:
    found = environment_of("site", "gunicorn", WHOLE)
    assert found.keys() == {"PATH", "KHRONIKA_ENV", "KHRONIKA_SITE_JWT_SECRET"}
