from collections.abc import Mapping

import psycopg
import pytest
from sqlalchemy import create_engine, inspect, text

from pipeline.runtime.database import with_driver
from pipeline.runtime.migrate import migrate
from transcoder.models import SCHEMA, Base
from transcoder.schema_history import TRANSCODER_HISTORY


def tables(owner_url: str) -> set[str]:
    engine = create_engine(with_driver(owner_url))
    try:
        return set(inspect(engine).get_table_names(schema=SCHEMA))
    finally:
        engine.dispose()


def may_delete_jobs(owner_url: str) -> bool:
    """Check the right that revision 0002 grants."""
    asked = "SELECT has_table_privilege('khronika_transcoder', 'transcoder.jobs', 'DELETE')"
    with psycopg.connect(owner_url) as connection:
        [(granted,)] = connection.execute(asked).fetchall()
    return bool(granted)


def test_the_migrations_can_be_undone_and_applied_again(postgres_url: str) -> None:
    migrate(TRANSCODER_HISTORY, postgres_url)
    migrate(TRANSCODER_HISTORY, postgres_url)
    assert {"jobs", "callbacks"} <= tables(postgres_url)
    migrate(TRANSCODER_HISTORY, postgres_url, "base")
    assert tables(postgres_url) == {"alembic_version"}
    migrate(TRANSCODER_HISTORY, postgres_url)
    migrate(TRANSCODER_HISTORY, postgres_url, "0001")
    assert not may_delete_jobs(postgres_url)
    migrate(TRANSCODER_HISTORY, postgres_url)
    assert may_delete_jobs(postgres_url)
    assert {"jobs", "callbacks"} <= tables(postgres_url)


def test_the_models_name_the_columns_that_the_migrations_made(postgres_url: str) -> None:
    engine = create_engine(with_driver(postgres_url))
    for table in Base.metadata.sorted_tables:
        made = {c["name"]: c["nullable"] for c in inspect(engine).get_columns(table.name, SCHEMA)}
        assert made == {column.name: column.nullable for column in table.columns}
    engine.dispose()


def test_the_role_may_use_its_own_tables_and_nothing_else(role_urls: Mapping[str, str]) -> None:
    engine = create_engine(with_driver(role_urls["transcoder"]))
    with engine.connect() as connection:
        connection.execute(text("SELECT count(*) FROM transcoder.jobs"))
    engine.dispose()
    for statement in (
        "SELECT FROM public.video_assets",
        "TRUNCATE transcoder.jobs CASCADE",
        "DELETE FROM transcoder.callbacks",
        "CREATE TABLE transcoder.mine (id int)",
        "CREATE TABLE public.mine (id int)",
    ):
        with (
            psycopg.connect(role_urls["transcoder"]) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement)
