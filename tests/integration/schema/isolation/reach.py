"""What a role reaches: tried, statement by statement, and undone."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.errors import InsufficientPrivilege, UniqueViolation

from tests.integration.schema.isolation.rows import OWNERS, ROWS, Ids, another, become

DENIED, NOTHING, OWN, ALL, SOMEBODY_ELSES = "-", "0", "o", "*", "!"
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True)
class Actor:
    """Somebody at the database.

    Attributes:
        part: Whose login it is.
        user_id: What the transaction says; None says nothing.
        role: Which the login puts on.
    """

    part: str
    user_id: str | None = None
    role: str | None = None

    @contextmanager
    def entered(self, role_urls: Mapping[str, str]) -> Iterator[psycopg.Connection]:
        with psycopg.connect(role_urls[self.part]) as connection:
            if self.role is not None:
                connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(self.role)))
            if self.user_id is not None:
                become(connection, self.user_id)
            yield connection
            connection.rollback()


def reach_of(
    connection: psycopg.Connection, actor: Actor, table: str, belongings: Mapping[str, Ids]
) -> str:
    """A letter for each of ``VERBS``."""
    name, column = sql.Identifier(table), sql.Identifier(_updatable(connection, table))
    update = sql.SQL("UPDATE {0} SET {1} = {1}").format(name, column)
    tries: tuple[Callable[[], int], ...] = (
        lambda: connection.execute(sql.SQL("SELECT FROM {}").format(name)).rowcount,
        lambda: _inserted(connection, table, belongings),
        lambda: connection.execute(update).rowcount,
        lambda: connection.execute(sql.SQL("DELETE FROM {}").format(name)).rowcount,
    )
    return "".join(_letter(connection, actor, attempt) for attempt in tries)


def _letter(connection: psycopg.Connection, actor: Actor, attempt: Callable[[], int]) -> str:
    try:
        with connection.transaction(force_rollback=True):
            reached = attempt()
    except InsufficientPrivilege as refusal:
        if "permission denied" not in str(refusal):
            raise
        return DENIED
    known = {0: NOTHING, sum(OWNERS.values()): ALL}
    if (rows := OWNERS.get(actor.user_id or "")) is not None:
        known[rows] = OWN
    return known.get(reached, SOMEBODY_ELSES)


def _inserted(connection: psycopg.Connection, table: str, belongings: Mapping[str, Ids]) -> int:
    """How many rows there are of the owners for whom one more may be made."""
    return sum(
        rows for owner, rows in OWNERS.items() if _inserts(connection, table, belongings[owner])
    )


def _inserts(connection: psycopg.Connection, table: str, ids: Ids) -> bool:
    """Whether it may make a row of this owner's; no right to the table at all is an error."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(ROWS[table].insert, vars(another(table, ids)))
    except InsufficientPrivilege as refusal:
        if "permission denied" in str(refusal):
            raise
        return False
    except UniqueViolation:
        return True  # row security is asked first
    return True


def _updatable(connection: psycopg.Connection, table: str) -> str:
    """A column that the role may change; of none, any: the refusal is what is looked for."""
    row = connection.execute(
        """SELECT attname FROM pg_attribute
           WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
             AND attidentity = ''
           ORDER BY has_column_privilege(attrelid, attnum, 'UPDATE') DESC, attnum
           LIMIT 1""",
        [table],
    ).fetchone()
    assert row is not None
    return str(row[0])
