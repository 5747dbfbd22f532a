"""Connections: one engine per role, the user's id set for each transaction."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

CONNECT_TIMEOUT_SEC = 5

LOCK_WAIT_MS = 200
"""Longest wait of a request for a row that another one changes: longer than a change takes, and
short enough to hold no thread."""

LOCK_NOT_AVAILABLE = "55P03"
"""SQLSTATE of a lock that was not granted within ``lock_timeout``."""


def make_engine(
    url: str,
    *,
    pool_size: int = 5,
    name: str = "khronika",
    lock_wait_ms: int = 0,
    pre_ping: bool = False,
) -> Engine:
    """Make an engine whose server ends a statement that hangs.

    ``idle_in_transaction_session_timeout`` enforces the law that no transaction is open across a
    network call: the server ends such a transaction.

    Args:
        url: Any PostgreSQL URL; the driver is always psycopg 3.
        pool_size: Connections kept; as many again may be opened under load.
        name: Shown in ``pg_stat_activity``.
        lock_wait_ms: Bound of the wait for a lock; 0 leaves it to the statement's timeout.
        pre_ping: Test a connection before each use; for a process that uses one rarely.
    """
    return create_engine(
        with_driver(url),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_recycle=1800,
        pool_pre_ping=pre_ping,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SEC,
            "application_name": name,
            "options": "-c timezone=UTC -c statement_timeout=30s "
            f"-c idle_in_transaction_session_timeout=30s -c lock_timeout={lock_wait_ms}",
        },
    )


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
