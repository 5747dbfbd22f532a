"""Connections that a failover has made useless leave their pool before they fail twice."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Engine, make_url, text
from sqlalchemy.exc import InternalError
from sqlalchemy.orm import Session

from pipeline.runtime import pooled_connections
from pipeline.runtime.database import make_engine, reading_session, session_of, takes_writes
from stack.postgres_location import SOCKET_NAME
from tests.chaos.proxy import Proxy, Wire
from tests.shared_run import Databases

KEPT = 3
WRITE = text("CREATE TABLE public.written_once (id int); DROP TABLE public.written_once")
BACKEND = text("SELECT pg_backend_pid()")


@pytest.fixture
def engine(role_urls: Mapping[str, str]) -> Iterator[Engine]:
    engine = make_engine(role_urls["owner"], pool_size=KEPT)
    yield engine
    engine.dispose()


@pytest.fixture
def no_connection_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled_connections, "NEW_SEC", 0.0)


def fill(engine: Engine, statement: str = "SELECT 1") -> None:
    """Leave as many connections in the pool as it keeps, each after a statement in its session."""
    connections = [engine.connect() for _ in range(KEPT)]
    for connection in connections:
        alone = connection.execution_options(isolation_level="AUTOCOMMIT")
        alone.execute(text(statement))
    for connection in connections:
        connection.close()


def write(engine: Engine) -> None:
    with session_of(engine) as session:
        session.execute(WRITE)


def test_one_refused_write_drops_every_connection_that_takes_none(engine: Engine) -> None:
    fill(engine, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    with pytest.raises(InternalError):
        write(engine)
    for _ in range(KEPT):
        write(engine)


@pytest.mark.usefixtures("no_connection_is_new")
def test_a_connection_that_takes_no_writes_is_replaced_before_a_write(engine: Engine) -> None:
    fill(engine, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    for _ in range(KEPT):
        write(engine)


@pytest.mark.usefixtures("no_connection_is_new")
def test_a_pool_that_only_reads_leaves_a_server_that_has_become_a_replica(engine: Engine) -> None:
    fill(engine, "SET default_transaction_read_only = on")
    with reading_session(engine) as session:
        assert takes_writes(session)


@pytest.mark.usefixtures("no_connection_is_new")
def test_a_connection_that_the_server_has_ended_serves_no_request(
    engine: Engine, databases: Databases
) -> None:
    fill(engine)
    end_backends(engine, databases)
    for _ in range(KEPT):
        write(engine)


def end_backends(engine: Engine, databases: Databases) -> None:
    """End every session of the engine's login, and wait until they have ended."""
    query = """SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
               WHERE datname = %s AND usename = %s"""
    session = [engine.url.database, engine.url.username]
    with psycopg.connect(databases.admin_url, autocommit=True) as admin:
        assert len(admin.execute(query, session).fetchall()) == KEPT


@pytest.mark.usefixtures("no_connection_is_new")
def test_a_connection_that_was_cut_silently_is_replaced_at_its_next_use(
    role_urls: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooled_connections, "RESTED_SEC", 0.0)
    monkeypatch.setattr(pooled_connections, "ANSWER_SEC", 0.5)
    url = make_url(role_urls["owner"])
    if "host" not in url.query:
        pytest.skip("the given server has no socket to stand before")
    with closing(Proxy(lambda: f"{url.query['host']}/{SOCKET_NAME}")) as proxy:
        engine = make_engine(
            url.set(host="127.0.0.1", port=proxy.port, query={}).render_as_string(
                hide_password=False
            ),
            pool_size=KEPT,
        )
        fill(engine)
        proxy.set(Wire.HALF_OPEN)
        for _ in range(KEPT):
            write(engine)
        engine.dispose()


def test_nothing_that_a_pooler_refuses_is_sent_at_the_connecting(engine: Engine) -> None:
    with session_of(engine) as session:
        sent = session.scalars(text("SELECT name FROM pg_settings WHERE source = 'client'"))
        assert set(sent) <= {"application_name", "client_encoding"}


def bounds(connection: Connection | Session) -> tuple[Any, ...]:
    names = "statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout", "timezone"
    shown = ", ".join(f"current_setting('{name}')" for name in names)
    return tuple(connection.execute(text(f"SELECT {shown}")).one())


def test_every_transaction_and_every_single_read_is_bounded(role_urls: Mapping[str, str]) -> None:
    engine = make_engine(role_urls["api"], pool_size=1, lock_wait_ms=300)
    with session_of(engine) as session:
        assert bounds(session) == ("30s", "30s", "300ms", "UTC")
    with reading_session(engine) as session:
        assert bounds(session) == ("30s", "30s", "300ms", "UTC")
    engine.dispose()


def test_no_statement_is_prepared_on_the_server(engine: Engine) -> None:
    with session_of(engine) as session:
        for _ in range(10):
            session.execute(BACKEND)
        assert session.scalar(text("SELECT count(*) FROM pg_prepared_statements")) == 0


def test_a_transaction_is_one_and_ends_as_its_block_does(engine: Engine) -> None:
    def break_off() -> None:
        with session_of(engine) as session:
            session.execute(text("CREATE TABLE public.left_behind (id int)"))
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    with session_of(engine) as session:
        assert session.scalar(text("SELECT to_regclass('public.left_behind')")) is None
        number = text("SELECT txid_current()")
        assert session.scalar(number) == session.scalar(number)
