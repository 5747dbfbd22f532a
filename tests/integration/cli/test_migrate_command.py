"""The command that migrates a production's database."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest

from cli.database_schemas import HISTORIES
from pipeline.records.schema_history import PIPELINE_HISTORY
from pipeline.runtime.migrate import migrate
from stack.ports import free_port
from tests.integration.cli.conftest import khronika, khronika_process
from tests.integration.cli.test_doctor import diagnosis, healthy, transcoder
from tests.shared_run import Databases

__all__ = ["healthy", "transcoder"]

NEWEST = {str(name): history.newest_revision() for name, history in HISTORIES.items()}


@pytest.fixture
def empty_url(databases: Databases, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"khronika_unmigrated_{id(request)}"
    yield databases.make(name)
    databases.drop(name)


def test_an_empty_database_gets_both_schemas_and_a_second_run_changes_nothing(
    empty_url: str, tmp_path: Path
) -> None:
    secret = tmp_path / "owner_url"
    secret.write_text(empty_url + "\n")
    env = {"DATABASE_URL_FILE": str(secret)}
    for was in ({}, NEWEST):
        ran = khronika_process("migrate", "--json", env=env)
        assert (ran.code, ran.err) == (0, "")
        assert ran.lines == [
            {"schema": name, "was": was.get(name), "revision": revision}
            for name, revision in NEWEST.items()
        ]
    with psycopg.connect(empty_url) as connection:
        assert connection.execute("SELECT count(*) FROM video_assets").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM transcoder.jobs").fetchone() == (0,)


def test_one_schema_is_migrated_alone(empty_url: str) -> None:
    ran = khronika("migrate", "--schema", "transcoder", env={"DATABASE_URL": empty_url})
    assert (ran.code, ran.out) == (0, f"transcoder: at {NEWEST['transcoder']} (was new)\n")
    with psycopg.connect(empty_url) as connection:
        assert connection.execute("SELECT to_regclass('video_assets')").fetchone() == (None,)


def test_the_doctor_of_an_old_schema_names_the_command_that_mends_it(
    healthy: Mapping[str, str], postgres_url: str
) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    problem = diagnosis(healthy)[1]["migrations"]
    assert "khronika migrate" in problem["next_step"]
    assert "DATABASE_URL" in problem["next_step"]


def test_an_older_schema_is_brought_to_the_newest(empty_url: str) -> None:
    migrate(PIPELINE_HISTORY, empty_url, "0004")
    ran = khronika("migrate", "--json", env={"DATABASE_URL": empty_url})
    assert [line["was"] for line in ran.lines] == ["0004", None]


@pytest.mark.parametrize(
    ("env", "code", "problem"),
    [
        ({}, 2, "not_configured"),
        (
            {"DATABASE_URL": f"postgresql://o:hidden@127.0.0.1:{free_port()}/x"},
            4,
            "database_unavailable",
        ),
    ],
    ids=["no login", "no server"],
)
def test_a_database_that_cannot_be_migrated_is_an_error_with_a_next_step(
    env: Mapping[str, str], code: int, problem: str
) -> None:
    ran = khronika("migrate", "--json", env=env)
    assert ran.code == code
    assert (ran.document["error"]["code"], "hidden" in ran.out + ran.err) == (problem, False)
    assert "DATABASE_URL" in ran.document["error"]["next_step"]
