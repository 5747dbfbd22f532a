from collections.abc import Iterator

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text

from pipeline.operations.schema_check import check_catalogue, load_intended, read_catalogue
from pipeline.records.schema_history import PIPELINE_HISTORY
from pipeline.runtime.migrate import migrate
from pipeline.runtime.migration_history import MigrationHistory
from tests.integration.schema.conftest import entered
from tests.shared_run import Databases
from transcoder.schema_history import TRANSCODER_HISTORY

OURS = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
      AND relname <> 'alembic_version_pkc'
    UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT typname FROM pg_type
    WHERE typnamespace = 'public'::regnamespace AND typname NOT LIKE '%alembic_version'
"""


@pytest.fixture
def empty_url(databases: Databases, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"khronika_empty_{id(request)}"
    yield databases.make(name)
    databases.drop(name)


def test_the_schema_goes_up_and_down_and_up_again(empty_url: str) -> None:
    migrate(PIPELINE_HISTORY, empty_url)
    migrate(PIPELINE_HISTORY, empty_url, "base")

    with entered(empty_url) as connection:
        left = connection.scalars(text(OURS)).all()
    assert left == []

    migrate(PIPELINE_HISTORY, empty_url)
    with entered(empty_url) as connection:
        assert check_catalogue(connection) == []


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004"])
def test_each_migration_is_reversible_by_itself(empty_url: str, revision: str) -> None:
    migrate(PIPELINE_HISTORY, empty_url)
    migrate(PIPELINE_HISTORY, empty_url, revision)
    migrate(PIPELINE_HISTORY, empty_url)

    with entered(empty_url) as connection:
        assert check_catalogue(connection) == []


@pytest.mark.parametrize("history", [PIPELINE_HISTORY, TRANSCODER_HISTORY])
def test_the_newest_revision_is_the_one_that_alembic_goes_up_to(history: MigrationHistory) -> None:
    head = ScriptDirectory(str(history.folder)).get_current_head()
    assert history.newest_revision() == head


def test_migrating_twice_changes_nothing(empty_url: str) -> None:
    migrate(PIPELINE_HISTORY, empty_url)
    with entered(empty_url) as connection:
        before = read_catalogue(connection)

    migrate(PIPELINE_HISTORY, empty_url)

    with entered(empty_url) as connection:
        assert read_catalogue(connection) == before


def test_the_recorded_catalogue_is_that_of_a_freshly_migrated_database(postgres_url: str) -> None:
    # After a migration: DATABASE_URL=… python -m pipeline.operations.schema_check >
    # pipeline/operations/schema_check.json
    with entered(postgres_url) as connection:
        assert read_catalogue(connection) == load_intended()
