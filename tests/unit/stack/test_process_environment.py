import json
from pathlib import Path

import pytest

from cli.database_logins import ROLES
from pipeline.runtime.secret_files import SecretUnreadable
from stack.credentials import MAKERS
from stack.home import Home
from stack.process_environment import (
    Ports,
    build_environment,
    read_environment,
    with_secrets_read,
    write_environment,
)
from stack.servers import Servers

CREDENTIALS = {name: make() for name, make in MAKERS.items()}
SERVERS = Servers(
    owner_url="postgresql://owner:o@/khronika?host=%2Fsocket",
    broker_url="redis://:b@127.0.0.1:1/0",
    postgres=None,
    broker=None,
)
PORTS = Ports(web=8081, transcoder=9001, flower=9002)
HOME = Home(Path("/home/k"))


def build(env: dict[str, str]) -> dict[str, str]:
    return build_environment(HOME, env, SERVERS, CREDENTIALS, PORTS)


def test_each_role_has_a_login_of_its_own_on_the_same_server() -> None:
    environment = build({})
    urls = {environment[f"KHRONIKA_{part.upper()}_DATABASE_URL"] for part in ROLES}
    assert len(urls) == len(ROLES)
    assert all("@/khronika?host=%2Fsocket" in url for url in urls)


def test_the_two_sides_of_the_providers_boundary_agree() -> None:
    environment = build({})
    assert environment["KHRONIKA_TRANSCODER_TOKEN"] == environment["KHRONIKA_SELFHOSTED_TOKEN"]
    assert (
        environment["KHRONIKA_TRANSCODER_CALLBACK_SECRETS"]
        == environment["KHRONIKA_SELFHOSTED_WEBHOOK_SECRETS"]
    )
    assert environment["KHRONIKA_SELFHOSTED_URL"] == "http://127.0.0.1:9001"


def test_the_transcoder_enters_a_bucket_as_the_rest_does_unless_told_otherwise() -> None:
    given = {"KHRONIKA_STORAGE_KEY_ID": "id", "KHRONIKA_STORAGE_SECRET": "secret"}
    assert build(given)["KHRONIKA_TRANSCODER_STORAGE_SECRET"] == "secret"
    own = given | {"KHRONIKA_TRANSCODER_STORAGE_SECRET": "its own"}
    assert build(own)["KHRONIKA_TRANSCODER_STORAGE_SECRET"] == "its own"
    assert "KHRONIKA_TRANSCODER_STORAGE_SECRET" not in build({})


def test_what_the_caller_sets_wins_and_is_followed_through() -> None:
    environment = build(
        {
            "STORAGE_URL": "file:///srv/videos",
            "KHRONIKA_PUBLIC_URL": "https://video.example",
            "KHRONIKA_SELFHOSTED_TOKEN": "a-token-of-their-own",
            "KHRONIKA_API_DATABASE_URL": "postgresql://elsewhere/db",
        }
    )
    assert json.loads(environment["KHRONIKA_TRANSCODER_STORAGES"]) == {
        "default": "file:///srv/videos"
    }
    assert environment["KHRONIKA_TRANSCODER_CALLBACK_URL"].startswith("https://video.example/api/")
    assert environment["KHRONIKA_TRANSCODER_TOKEN"] == "a-token-of-their-own"
    assert environment["KHRONIKA_API_DATABASE_URL"] == "postgresql://elsewhere/db"


def test_a_secret_in_a_file_is_followed_through_as_one_in_a_variable_is(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("a-token-of-their-own\n")
    environment = build(with_secrets_read({"KHRONIKA_SELFHOSTED_TOKEN_FILE": str(path)}))
    assert environment["KHRONIKA_SELFHOSTED_TOKEN"] == "a-token-of-their-own"
    assert environment["KHRONIKA_TRANSCODER_TOKEN"] == "a-token-of-their-own"
    assert "KHRONIKA_SELFHOSTED_TOKEN_FILE" not in environment
    assert with_secrets_read({"DATABASE_URL_FILE": str(path)})["DATABASE_URL"] == (
        "a-token-of-their-own"
    )
    with pytest.raises(SecretUnreadable, match="BROKER_URL_FILE"):
        with_secrets_read({"BROKER_URL_FILE": str(tmp_path)})


def test_an_empty_variable_counts_as_unset() -> None:
    assert build({"STORAGE_URL": ""})["STORAGE_URL"] == "file:///home/k/post-videos"


def test_the_port_is_the_one_that_is_listened_on() -> None:
    assert build({"PORT": "0"})["PORT"] == "8081"


def test_only_settings_are_left_for_other_commands_to_find(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    write_environment(home, build({"AWS_SECRET_ACCESS_KEY": "not ours to copy"}))
    found = read_environment(home)
    assert "AWS_SECRET_ACCESS_KEY" not in found
    assert found["DATABASE_URL"] == SERVERS.owner_url
    assert home.environment.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["KHRONIKA_JWT_SECRET", "KHRONIKA_SECRET_KEY"])
def test_generated_keys_are_long_enough_for_hs256(name: str) -> None:
    assert len(build({})[name].encode()) >= 32
