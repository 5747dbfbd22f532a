"""Connections to the transcoder's schema."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.orm import Session

_CONNECT_TIMEOUT_SEC = 5


def make_engine(url: str) -> Engine:
    """Make an engine; a transaction left open over something slow is ended by the server."""
    return create_engine(
        with_driver(url),
        pool_pre_ping=True,  # an encode lasts longer than many a connection
        connect_args={
            "connect_timeout": _CONNECT_TIMEOUT_SEC,
            "application_name": "khronika-transcoder",
            "options": "-c timezone=UTC -c statement_timeout=15s "
            "-c idle_in_transaction_session_timeout=15s",
        },
    )


def with_driver(url: str) -> str:
    """The URL with psycopg 3 as its driver, whatever scheme it came with."""
    return make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """A short transaction; commits at the end."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        yield session
