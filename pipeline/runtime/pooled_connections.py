"""Pooled connections: none that is dead, or that a failover left read-only, serves a second time.

After a failover a connection may answer every statement and still be useless: its server has become
a replica, or its session began while the server took no writes. A firewall may have dropped it
without a word. One error of such a kind empties the pool, because the other connections are as old.
Each use of a connection begins with a look at what the server has said since the last one, which
costs no round trip; one that has rested, or to which the server has said something, is asked and
waited for briefly.
"""

import select
import time
from typing import Any

from psycopg import OperationalError
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import InvalidatePoolError

READ_ONLY = "25006"
"""SQLSTATE of a write that this server does not take (read_only_sql_transaction)."""

_ENDED = ("08", "57P0", "25P03", READ_ONLY)
"""Beginnings of the SQLSTATEs after which a connection is of no use: it has failed, the server is
stopping, crashed, starting or without this database, a session idled too long, or took no write."""

_REPORTED = (b"default_transaction_read_only", b"in_hot_standby")
"""Settings that Postgres reports by itself when they change (libpq, PQparameterStatus)."""

RESTED_SEC = 1.0
"""A connection that rested longer is asked before its use."""

ANSWER_SEC = 2.0
"""The wait for the answer; a server on the same network answers in 1 ms."""

NEW_SEC = 1.0
"""Age until which a connection is used as it is. A read-only one serves reads meanwhile, so that a
server that takes no writes for long is asked for few connections, not for one a request."""


def drop_useless_connections(engine: Engine) -> None:
    """Have an engine empty its pool of connections that a failover has made useless."""
    event.listen(engine, "handle_error", _report_ended)
    event.listen(engine, "connect", _note_birth)
    event.listen(engine, "checkin", _note_rest)
    event.listen(engine, "checkout", _refuse_useless)


def _report_ended(context: ExceptionContext) -> None:
    if has_ended(context.original_exception):
        context.is_disconnect = True  # SQLAlchemy then drops every connection of this age


def has_ended(error: BaseException) -> bool:
    """Return True if no later statement on the same connection can do better."""
    return str(getattr(error, "sqlstate", None) or "").startswith(_ENDED)


def _note_birth(_connection: Any, record: Any) -> None:
    record.info["born_at"] = record.info["rested_at"] = time.monotonic()


def _note_rest(_connection: Any, record: Any) -> None:
    record.info["rested_at"] = time.monotonic()


def _refuse_useless(connection: Any, record: Any, _fairy: Any) -> None:
    now, pgconn = time.monotonic(), connection.pgconn
    if now - record.info["born_at"] < NEW_SEC:
        return  # its first statement tells more
    try:
        if now - record.info["rested_at"] > RESTED_SEC or _is_readable(pgconn, 0):
            _ask(pgconn)
    except (OperationalError, OSError) as error:
        raise InvalidatePoolError(str(type(error))) from error
    if _is_read_only(pgconn):
        raise InvalidatePoolError("it takes no writes")


def _ask(pgconn: PGconn) -> None:
    """Send an empty query and read its answer, which no failed server gives.

    Raises:
        OperationalError: The connection is dead, or silent for ``ANSWER_SEC``.
    """
    deadline = time.monotonic() + ANSWER_SEC
    pgconn.send_query(b"")
    pgconn.flush()
    while True:
        while pgconn.is_busy():
            if not _is_readable(pgconn, deadline - time.monotonic()):
                raise OperationalError("no answer")
            pgconn.consume_input()
        if (result := pgconn.get_result()) is None:
            return
        if result.status != ExecStatus.EMPTY_QUERY:
            raise OperationalError("the server has ended it")


def _is_readable(pgconn: PGconn, wait_sec: float) -> bool:
    waiting = select.poll()
    waiting.register(pgconn.socket, select.POLLIN)
    return bool(waiting.poll(max(0.0, wait_sec) * 1000))


def _is_read_only(pgconn: PGconn) -> bool:
    return any(pgconn.parameter_status(name) == b"on" for name in _REPORTED)
