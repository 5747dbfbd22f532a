import json
from datetime import UTC, datetime
from pathlib import Path

import jwt
import pytest

from cli.environment import NoCredentials, api_address, complete_environment, make_token

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SECRET = "s" * 32


def record(home: Path, **settings: str) -> None:
    (home / "run").mkdir()
    (home / "run" / "environment.json").write_text(json.dumps(settings))


def test_what_the_caller_sets_wins_over_what_a_stack_recorded(tmp_path: Path) -> None:
    record(tmp_path, PORT="1234", KHRONIKA_JWT_ISSUER="stack")

    env = complete_environment(
        {"KHRONIKA_HOME": str(tmp_path), "PORT": "99", "KHRONIKA_JWT_ISSUER": ""}
    )

    assert (env["PORT"], env["KHRONIKA_JWT_ISSUER"]) == ("99", "stack")


def test_the_secret_that_a_stack_made_for_itself_is_found(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text(json.dumps({"jwt_secret": SECRET}))

    assert complete_environment({"KHRONIKA_HOME": str(tmp_path)})["KHRONIKA_JWT_SECRET"] == SECRET


def test_a_secret_that_the_caller_has_in_a_file_wins_over_a_recorded_one(tmp_path: Path) -> None:
    record(tmp_path, KHRONIKA_JWT_SECRET="r" * 32)
    (tmp_path / "secret").write_text(SECRET + "\n")

    env = complete_environment(
        {"KHRONIKA_HOME": str(tmp_path), "KHRONIKA_JWT_SECRET_FILE": str(tmp_path / "secret")}
    )

    assert "KHRONIKA_JWT_SECRET" not in env
    jwt.decode(make_token(env, "ana"), SECRET, algorithms=["HS256"], audience="authenticated")


@pytest.mark.parametrize("content", ["", "[1]", "{"])
def test_a_record_that_cannot_be_read_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "secrets.json").write_text(content)

    assert "KHRONIKA_JWT_SECRET" not in complete_environment({"KHRONIKA_HOME": str(tmp_path)})


def test_the_address_is_the_callers_else_the_stacks_else_the_default() -> None:
    assert api_address({"KHRONIKA_URL": "https://v.example", "PORT": "1"}) == "https://v.example"
    assert api_address({"PORT": "1234"}) == "http://127.0.0.1:1234"
    assert api_address({}) == "http://127.0.0.1:8080"


def test_a_token_says_who_for_whom_and_for_how_long() -> None:
    env = {"KHRONIKA_JWT_SECRET": SECRET, "KHRONIKA_JWT_ISSUER": "site"}

    made = make_token(env, "ana", role="service_role", now=NOW, life_sec=60)

    claims = jwt.decode(
        made,
        SECRET,
        algorithms=["HS256"],
        audience="authenticated",
        issuer="site",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert (claims["sub"], claims["role"]) == ("ana", "service_role")
    assert claims["exp"] - claims["iat"] == 60


def test_without_the_secret_there_is_no_token() -> None:
    with pytest.raises(NoCredentials, match="KHRONIKA_JWT_SECRET"):
        make_token({}, "ana")
