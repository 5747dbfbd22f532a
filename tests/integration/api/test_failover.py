"""The API while its database takes no writes, and as soon as it does again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
import requests
from psycopg import sql
from sqlalchemy import make_url

from tests.conditions import PATIENCE_SEC, wait_until
from tests.integration.api.conftest import Client
from tests.shared_run import Databases

AT_ONCE = 12
"""More than the pool keeps."""


@contextmanager
def taking_no_writes(databases: Databases, name: str) -> Iterator[None]:
    """Make a database read-only for every new session, and end the present ones, as a failover."""
    ending = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
    change = "ALTER DATABASE {} {} default_transaction_read_only"
    database = sql.Identifier(name)
    with psycopg.connect(databases.admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL(change + " TO on").format(database, sql.SQL("SET")))
        admin.execute(ending, [name])
        try:
            yield
        finally:
            admin.execute(sql.SQL(change).format(database, sql.SQL("RESET")))


@pytest.fixture
def database(postgres_url: str) -> str:
    return str(make_url(postgres_url).database)


def create_at_once(api: Client) -> set[int]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = list(threads.map(lambda _: api.create(), range(AT_ONCE)))
    return {answer.status_code for answer in answers}


def test_creates_are_taken_soon_after_the_database_takes_writes_again(
    api: Client, databases: Databases, database: str
) -> None:
    created = api.create().json()
    assert create_at_once(api) == {202}
    with taking_no_writes(databases, database):
        assert create_at_once(api) == {503}
        assert api.get(f"/api/video-assets/{created['post_id']}").status_code == 200

    wait_until(lambda: create_at_once(api) == {202})
    assert create_at_once(api) == {202}


def test_an_api_whose_database_takes_no_writes_is_not_ready(
    api: Client, databases: Databases, database: str
) -> None:
    def ready() -> tuple[int, str]:
        answer = requests.get(f"{api.url}/readyz", timeout=PATIENCE_SEC)
        return answer.status_code, answer.json()["checks"]["database"]

    assert ready() == (200, "ok")
    with taking_no_writes(databases, database):
        wait_until(lambda: ready() == (503, "takes no writes"))
    wait_until(lambda: ready() == (200, "ok"))
