from collections.abc import Mapping

import psycopg
import pytest
from sqlalchemy import Engine, text

from pipeline.operations.schema_check import check_catalogue
from pipeline.runtime.database import session_of
from tests.integration.schema.conftest import ALICE, Belongings, entered

CHANGES = [
    "UPDATE {table} SET type = 'forged'",
    "UPDATE {table} SET type = 'forged' WHERE false",
    "DELETE FROM {table}",
    "DELETE FROM {table} WHERE false",
    "TRUNCATE {table}",
    "TRUNCATE {table} CASCADE",
]


TABLE = "video_processing_events"


def partitions_of(owner_url: str) -> list[str]:
    with psycopg.connect(owner_url) as connection:
        rows = connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass",
            [TABLE],
        ).fetchall()
    return sorted(name for (name,) in rows)


@pytest.mark.parametrize("change", CHANGES)
def test_the_chronicle_refuses_every_change_also_to_its_owner(
    postgres_url: str, belongings: Mapping[str, Belongings], change: str
) -> None:
    tables = [TABLE, *partitions_of(postgres_url)]
    assert len(tables) > 2

    for table in tables:
        with psycopg.connect(postgres_url) as connection:
            # Row-level security hides the rows from the owner, which must not be what saves them.
            connection.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
                connection.execute(change.format(table=table))


@pytest.mark.parametrize("part", ["api", "worker", "operator"])
@pytest.mark.parametrize("change", CHANGES)
def test_no_role_of_ours_may_change_the_chronicle(
    role_urls: Mapping[str, str], part: str, change: str
) -> None:
    with (
        psycopg.connect(role_urls[part]) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"),
    ):
        connection.execute(change.format(table=TABLE))


def test_the_month_of_an_event_decides_its_partition(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings]
) -> None:
    with session_of(engines["worker"]) as session:
        partition = session.scalars(
            text(
                "SELECT tableoid::regclass::text FROM video_processing_events WHERE asset_id = :a"
            ),
            {"a": belongings[ALICE].asset_id},
        ).one()
        this_month = session.scalars(text("SELECT to_char(now(), 'YYYY_MM')")).one()

    assert partition == f"{TABLE}_{this_month}"


def test_the_worker_makes_partitions_ahead_and_no_more_than_are_missing(
    engines: Mapping[str, Engine],
) -> None:
    make = text("SELECT khronika_make_event_partitions(5)")
    with session_of(engines["worker"]) as session:
        made = [session.scalars(make).one(), session.scalars(make).one()]

    assert made == [2, 0]  # the migration made this month's and three ahead


def test_a_partition_made_later_is_as_closed_as_the_first(
    engines: Mapping[str, Engine], postgres_url: str
) -> None:
    before = partitions_of(postgres_url)
    with session_of(engines["worker"]) as session:
        session.execute(text("SELECT khronika_make_event_partitions(4)"))
    [newest] = set(partitions_of(postgres_url)) - set(before)

    with (
        psycopg.connect(postgres_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"),
    ):
        connection.execute(f"TRUNCATE {newest}")

    with entered(postgres_url) as connection:
        assert check_catalogue(connection) == []
