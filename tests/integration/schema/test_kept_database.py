"""The database that tests share one after another is as the migrations leave it each time."""

import os
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import make_url

from stack.servers import Servers
from tests.kept_database import DatabaseKeeper
from tests.shared_run import Databases


@pytest.fixture
def keeper(servers: Servers, databases: Databases, template: str) -> Iterator[DatabaseKeeper]:
    if not servers.postgres:
        pytest.skip("only a superuser can empty a database, and the environment named another")
    with closing(DatabaseKeeper(databases, template, f"khronika_kept_{os.getpid()}")) as keeper:
        yield keeper


def test_rows_are_gone_numbers_begin_anew_and_connections_are_ended(keeper: DatabaseKeeper) -> None:
    audited = "INSERT INTO audit_events (type, actor) VALUES ('purged', 'operator') RETURNING id"
    with keeper.lent() as url:
        admin = make_url(keeper.databases.admin_url).set(database=make_url(url).database)
        admin_url = admin.render_as_string(hide_password=False)
        left_open = psycopg.connect(admin_url)
        first = left_open.execute(audited).fetchall()
        left_open.commit()
    with pytest.raises(psycopg.OperationalError):
        left_open.execute("SELECT")
    left_open.close()

    with (
        keeper.lent() as again,
        psycopg.connect(admin_url) as connection,
    ):
        assert again == url
        assert connection.execute("SELECT FROM audit_events").fetchall() == []
        assert connection.execute(audited).fetchall() == first


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE posts ()",
        "DROP INDEX video_assets_due",
        "ALTER TABLE uploads DISABLE ROW LEVEL SECURITY",
        "REVOKE SELECT ON uploads FROM khronika_api",
        "UPDATE alembic_version SET version_num = '0001'",
    ],
)
def test_a_database_that_is_changed_beyond_its_rows_is_replaced(
    keeper: DatabaseKeeper, change: str
) -> None:
    with keeper.lent() as url, psycopg.connect(url) as connection:
        connection.execute(change)

    with keeper.lent() as another:
        assert another != url


def test_a_database_that_is_dropped_is_replaced(keeper: DatabaseKeeper) -> None:
    with keeper.lent() as url:
        keeper.databases.drop(str(make_url(url).database))

    with keeper.lent() as another:
        assert another != url
