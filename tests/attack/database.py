"""Logins of the database in wrong hands: of each part, and of a role of the site's."""

from collections.abc import Mapping
from typing import Any

import psycopg

from tests.attack.rows import Row
from tests.attack.target import OWNER, STRANGER, Target

FOREIGN = "attack_site_role"
TRIES = {
    "change the audit": "UPDATE public.audit_events SET actor = 'operator:bob'",
    "remove from the audit": "DELETE FROM public.audit_events",
    "remove from the chronicle": "DELETE FROM public.video_processing_events",
    "change the chronicle": "UPDATE public.video_processing_events SET actor = 'worker'",
    "give a video away": "UPDATE public.video_assets SET owner_id = 'boris'",
    "show a signed video to everybody": "UPDATE public.video_assets SET playback = 'public'",
    "empty a table": "TRUNCATE public.video_assets CASCADE",
    "make a table": "CREATE TABLE planted ()",
    "leave the rules": "ALTER TABLE public.video_assets DISABLE ROW LEVEL SECURITY",
    "become the owner": "SET ROLE khronika_auditor",
    "widen an API key": "UPDATE public.api_keys SET scopes = '{operator}'",
    "run a program": "COPY (SELECT 1) TO PROGRAM 'true'",
}


def attack(target: Target) -> list[Row]:
    """Write what no login may write, and read as a stranger and as a foreign role."""
    victim = target.publish("signed")
    _fill(target)
    rows = [
        Row("database login", f"{part}: {tried}", "refused", _end(target.logins, part, statement))
        for part in ("api", "worker", "operator", "public", "transcoder")
        for tried, statement in TRIES.items()
    ]
    for reader, user, expected in (
        ("a stranger", STRANGER, "0 rows"),
        ("its owner", OWNER, "1 rows"),
    ):
        seen = _count(target, user, victim["id"])
        rows.append(Row("database login", f"api: read as {reader}", expected, seen))
    return rows + _foreign(target)


def _fill(target: Target) -> None:
    """Give every table that is tried a row: a statement that finds none shows nothing."""
    with psycopg.connect(target.logins["operator"]) as operator:
        operator.execute(
            "INSERT INTO audit_events (type, actor) VALUES ('retry', 'operator:alice')"
        )
    with psycopg.connect(target.logins["admin"]) as admin:
        admin.execute(
            "INSERT INTO api_keys (id, name, secret_sha256, owner_id, scopes)"
            " VALUES (gen_random_uuid(), 'attacked', repeat('0', 64), %s, '{playback}')",
            [OWNER],
        )


def _count(target: Target, user: str, asset_id: str) -> str:
    with psycopg.connect(target.logins["api"]) as api:
        _become(api, user)
        found = api.execute(
            "SELECT count(*) FROM video_assets WHERE id = %s", [asset_id]
        ).fetchone()
    return f"{found[0] if found else None} rows"


def _become(connection: psycopg.Connection[tuple[Any, ...]], user: str) -> None:
    """Set the user that row-level security sees, as the API does for each request."""
    connection.execute("SELECT set_config('khronika.user_id', %s, true)", [user])


def _end(logins: Mapping[str, str], part: str, statement: str) -> str:
    with psycopg.connect(logins[part]) as connection:
        _become(connection, OWNER)
        try:
            done = connection.execute(statement.encode()).rowcount
        except psycopg.Error as error:
            is_refusal = isinstance(error, psycopg.errors.InsufficientPrivilege)
            return "refused" if is_refusal else type(error).__name__
        finally:
            connection.rollback()
    return f"done: {done} rows"


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
