"""Logins of the database in wrong hands: of each part, and of a role of the site's."""

from collections.abc import Mapping

import psycopg

from tests.attack.rows import Row
from tests.attack.target import STRANGER, Target

FOREIGN = "attack_site_role"
TRIES = {
    "change the audit": "UPDATE audit_events SET actor = 'operator:bob'",
    "remove from the audit": "DELETE FROM audit_events",
    "remove from the chronicle": "DELETE FROM video_processing_events",
    "change the chronicle": "UPDATE video_processing_events SET actor = 'worker'",
    "give a video away": "UPDATE video_assets SET owner_id = 'boris'",
    "show a signed video to everybody": "UPDATE video_assets SET playback = 'public'",
    "empty a table": "TRUNCATE video_assets CASCADE",
    "make a table": "CREATE TABLE planted ()",
    "leave the rules": "ALTER TABLE video_assets DISABLE ROW LEVEL SECURITY",
    "become the owner": "SET ROLE khronika_auditor",
    "widen an API key": "UPDATE api_keys SET scopes = '{operator}'",
    "run a program": "COPY (SELECT 1) TO PROGRAM 'true'",
}


def attack(target: Target) -> list[Row]:
    """Write what no login may write, and read as a stranger and as a foreign role."""
    target.publish("signed")
    rows = [
        Row("database login", f"{part}: {tried}", "refused", _end(target.logins, part, statement))
        for part in ("api", "worker", "operator", "public", "transcoder")
        for tried, statement in TRIES.items()
    ]
    with psycopg.connect(target.logins["api"]) as api:
        api.execute("SELECT set_config('app.user_id', %s, true)", [STRANGER])
        [found] = api.execute("SELECT count(*) FROM video_assets").fetchone() or [None]
    rows.append(Row("database login", "api: read as a stranger", "0 rows", f"{found} rows"))
    return rows + _foreign(target)


def _end(logins: Mapping[str, str], part: str, statement: str) -> str:
    with psycopg.connect(logins[part]) as connection:
        try:
            done = connection.execute(statement.encode()).rowcount
        except psycopg.Error as error:
            refusals = (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable)
            return "refused" if isinstance(error, refusals) else type(error).__name__
        finally:
            connection.rollback()
    return "refused" if done == 0 else f"done: {done} rows"


def _foreign(target: Target) -> list[Row]:
    with psycopg.connect(target.logins["admin"]) as admin:
        admin.execute(f"CREATE ROLE {FOREIGN}".encode())
        tables = admin.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p')"
            " AND relnamespace IN ('public'::regnamespace, to_regnamespace('transcoder'))"
        ).fetchall()
        admin.execute(f"SET LOCAL ROLE {FOREIGN}".encode())
        opened = []
        for (table,) in tables:
            try:
                with admin.transaction():
                    admin.execute(f"SELECT FROM {table}".encode())
                opened.append(table)
            except psycopg.errors.InsufficientPrivilege:
                continue
        admin.rollback()
    tried = f"a role of the site reads {len(tables)} tables"
    return [Row("foreign role", tried, "0 opened", f"{len(opened)} opened")]
