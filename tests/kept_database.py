"""One database that serves test after test, emptied between them.

To clone and drop a database costs the server 60 ms of CPU time, and each connection to a new one
rebuilds its catalogue caches; to empty one over a connection that stays open costs 2. A test that
changes more than rows (tables, rights, policies, rows that the migrations wrote) spoils the
database, and the next test gets a new clone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from sqlalchemy import make_url

from tests.shared_run import Databases

WATCH = """
    CREATE SCHEMA tests;
    CREATE TABLE tests.changes (tag text);
    CREATE FUNCTION tests.note_change() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = '' AS $$ BEGIN INSERT INTO tests.changes VALUES (tg_tag); END $$;
    CREATE EVENT TRIGGER tests_note_change ON ddl_command_end
        EXECUTE FUNCTION tests.note_change();
    CREATE EVENT TRIGGER tests_note_drop ON sql_drop EXECUTE FUNCTION tests.note_change();
"""
"""Notes every CREATE, ALTER, DROP, GRANT and REVOKE, outside of the schemas that tests look at."""

TABLES = """
    SELECT oid::regclass::text FROM pg_class
    WHERE relkind = 'r' AND relpersistence = 'p'
      AND relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'tests')
    ORDER BY 1
"""
END_OTHERS = """
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
CHANGED = """
    SELECT FROM pg_database WHERE datname = current_database() AND NOT datallowconn
    UNION ALL (SELECT FROM tests.changes LIMIT 1)
"""
RESTART_NUMBERS = "SELECT setval(seqrelid, seqstart, false) FROM pg_sequence"


@dataclass(frozen=True)
class KeptDatabase:
    """A clone of the template, and what it takes to bring it back to that.

    Attributes:
        url: Its owner's.
        admin: A connection that stays open, as a new one would read the catalogue of every table
            anew. No trigger and no policy applies to its login.
        filled: The tables that have rows from the beginning, with these rows.
        empty: The others.
    """

    name: str
    url: str
    admin: psycopg.Connection
    filled: dict[str, str]
    empty: tuple[str, ...]

    @classmethod
    def cloned(cls, databases: Databases, template: str, name: str) -> "KeptDatabase":
        """Clone the template under this name."""
        url = databases.make(name, template=template)
        admin_url = make_url(databases.admin_url).set(database=name)
        admin = psycopg.connect(admin_url.render_as_string(hide_password=False), autocommit=True)
        tables = [name for (name,) in admin.execute(TABLES)]
        rows = {table: _rows_of(admin, table) for table in tables}
        admin.execute(WATCH)
        filled = {table: found for table, found in rows.items() if found}
        return cls(name, url, admin, filled, tuple(sorted(set(tables) - filled.keys())))

    def empty_again(self) -> bool:
        """End every connection and remove every row; False if the database cannot be kept."""
        try:
            with self.admin.transaction():
                return self._emptied(self.admin)
        except psycopg.OperationalError:
            return False  # the test has dropped it, or ended every connection

    def _emptied(self, connection: psycopg.Connection) -> bool:
        connection.execute(END_OTHERS)
        if connection.execute(CHANGED).rowcount:
            return False
        # Neither foreign keys nor the triggers that guard the chronicle apply to a replica.
        deletes = "; ".join(f"DELETE FROM {table}" for table in self.empty)
        connection.execute(f"SET session_replication_role = replica; {deletes}".encode())
        connection.execute(RESTART_NUMBERS)
        return all(_rows_of(connection, name) == rows for name, rows in self.filled.items())


def _rows_of(connection: psycopg.Connection, table: str) -> str:
    query = f"SELECT string_agg(t::text, chr(10) ORDER BY t::text) FROM {table} t"
    [(found,)] = connection.execute(query.encode()).fetchall()
    return found or ""


@dataclass
class DatabaseKeeper:
    """Hands a database to one test at a time, and keeps it for the next where it can."""

    databases: Databases
    template: str
    prefix: str
    made: int = 0
    kept: KeptDatabase | None = None

    @contextmanager
    def lent(self) -> Iterator[str]:
        """Lend an empty database for the length of the block: its owner's URL."""
        lent, self.kept = self.kept or self._cloned(), None
        yield lent.url
        if lent.empty_again():
            self.kept = lent
        else:
            self._drop(lent)

    def _cloned(self) -> KeptDatabase:
        self.made += 1
        return KeptDatabase.cloned(self.databases, self.template, f"{self.prefix}_{self.made}")

    def close(self) -> None:
        """Drop the database that is kept."""
        if self.kept is not None:
            self._drop(self.kept)
            self.kept = None

    def _drop(self, database: KeptDatabase) -> None:
        database.admin.close()
        self.databases.drop(database.name)
