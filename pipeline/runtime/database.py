"""Connections: one engine per role, the user's id set for each transaction."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from psycopg import Error as PsycopgError
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from pipeline.runtime.pooled_connections import drop_useless_connections

CONNECT_TIMEOUT_SEC = 5

POOL_WAIT_SEC = 5.0
"""Longest wait for a connection of the pool. A request that gets none is answered 503: held for
longer it would keep a thread, and its client would have given up."""

LOCK_WAIT_MS = 200
"""Longest wait of a request for a row that another one changes: longer than a change takes, and
short enough to hold no thread."""

LOCK_NOT_AVAILABLE = "55P03"
"""SQLSTATE of a lock that was not granted within ``lock_timeout``."""


DATABASE_AWAY = (OperationalError, InterfaceError, InternalError, PoolTimeout)
"""Errors of a database that does not answer or takes no writes; the same may succeed later."""

TIMEOUT = "30s"
"""Longest time of a statement, and of a transaction that does nothing."""

SILENT_PEER = {
    "keepalives_idle": 10,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # ms that sent bytes may stay unconfirmed
}
"""Bounds of the wait for a server whose packets no longer arrive; the kernel's own are hours."""


def make_engine(
    url: str, *, pool_size: int = 5, name: str = "khronika", lock_wait_ms: int = 0
) -> Engine:
    """Make an engine whose server ends a statement that hangs.

    ``idle_in_transaction_session_timeout`` enforces the law that no transaction is open across a
    network call: the server ends such a transaction.

    It works through a pooler that lends a server's connection for one transaction (pgbouncer's
    transaction mode): such a pooler refuses settings at the connecting, forgets those of a session,
    and knows no prepared statement of a client. The bounds are therefore set in each transaction,
    in the same message as its ``BEGIN``: they cost no round trip.

    Args:
        url: Any PostgreSQL URL; the driver is always psycopg 3.
        pool_size: Connections kept; as many again may be opened under load.
        name: Shown in ``pg_stat_activity``.
        lock_wait_ms: Bound of the wait for a lock; 0 leaves it to the statement's timeout.
    """
    engine = create_engine(
        with_driver(url),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=POOL_WAIT_SEC,
        pool_recycle=1800,
        isolation_level="AUTOCOMMIT",  # the driver begins no transaction: _begin does
        use_native_hstore=False,  # no column has this type; its id costs a query at each start
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SEC,
            "application_name": name,
            "autocommit": True,
            "prepare_threshold": None,
            **SILENT_PEER,
        },
    )
    bounds = {
        "statement_timeout": TIMEOUT,
        "idle_in_transaction_session_timeout": TIMEOUT,
        "lock_timeout": f"{lock_wait_ms}ms",
    }
    event.listen(engine, "begin", partial(_begin, _settings("SET LOCAL", bounds)))
    event.listen(engine, "connect", partial(_greet, _settings("SET", bounds | {"timezone": "UTC"})))
    drop_useless_connections(engine)
    return engine


def _settings(verb: str, values: Mapping[str, str]) -> str:
    return "; ".join(f"{verb} {name} = '{value}'" for name, value in values.items())


def _begin(bounds: str, connection: Connection) -> None:
    if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        return
    driver: Any = connection.connection.driver_connection
    try:
        driver.execute(f"BEGIN; {bounds}")
    except PsycopgError:
        driver.close()  # outside of a transaction nothing may run: the first statement fails


def _greet(settings: str, connection: Any, _record: object) -> None:
    # For single reads, which have no transaction. A pooler may forget all but the time zone.
    connection.execute(settings)


def with_driver(url: str) -> str:
    """Return the URL with psycopg 3 as its driver, for any scheme."""
    return make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


@contextmanager
def user_session(engine: Engine, user_id: str) -> Iterator[Session]:
    """Open a transaction in which row-level security sees ``user_id``; commit at the end.

    The id is a bound parameter and local to the transaction, so that a pooled connection does not
    keep it. The wait for a lock of another request ends after ``LOCK_WAIT_MS``.
    """
    with Session(engine, expire_on_commit=False) as session, session.begin():
        session.execute(
            text(
                "SELECT set_config('khronika.user_id', :user_id, true),"
                " set_config('lock_timeout', :lock_wait, true)"
            ),
            {"user_id": user_id, "lock_wait": f"{LOCK_WAIT_MS}ms"},
        )
        yield session


@contextmanager
def session_of(engine: Engine) -> Iterator[Session]:
    """Open a transaction of a role that needs no user; commit at the end."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def reading_session(engine: Engine) -> Iterator[Session]:
    """Open a session for one read, which needs no transaction: it costs one round trip, not three.

    Only for a role that needs no user, because a user is set for one transaction.
    """
    with engine.connect() as connection:
        alone = connection.execution_options(isolation_level="AUTOCOMMIT")
        with Session(alone, expire_on_commit=False) as session:
            yield session


def lock_timed_out(error: OperationalError) -> bool:
    """Return True if the statement failed because another transaction held a lock too long."""
    return getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE


def takes_writes(connection: Connection | Session) -> bool:
    """Return True if the server takes writes on this connection: a replica takes none."""
    shown: str = connection.scalar(text("SHOW transaction_read_only"))
    return shown == "off"
