"""What each login may write: its own kinds of rows, and no rows in another part's name.

The database is one whose default privileges give a site's roles everything, as Supabase's do.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from uuid import uuid4

import psycopg
import pytest

from cli.database_logins import ROLES, grant_logins, login_url
from cli.database_schemas import migrate_all
from tests.integration.schema.isolation.rows import become
from tests.integration.schema.test_strangers import STRANGERS, make_generous
from tests.shared_run import Databases

ALICE = "alice"
EVENT = """INSERT INTO video_processing_events (asset_id, seq, type, actor, generation)
           VALUES (%(asset)s, 9, '{type}', '{actor}', 1)"""
AUDIT = """INSERT INTO audit_events (type, actor, provider)
           VALUES ('{type}', '{actor}', {provider})"""
INBOX = """INSERT INTO webhook_deliveries
               (id, provider, event_id, headers, body, body_sha256, status, reason)
           VALUES (gen_random_uuid(), 'selfhosted', 'e', '{{}}', '', '', '{status}', {reason})"""
SET = "UPDATE video_assets SET {change} WHERE id = %(asset)s"
FAIL = "status = 'failed', error_code = 'x', deadline_at = NULL, next_attempt_at = NULL"
QUEUE = (
    "status = 'queued', deadline_at = now(), error_code = NULL, error_message = NULL,"
    " progress = NULL, progress_at = NULL"
)
PROCESS = "status = 'processing', next_attempt_at = NULL, hold_reason = NULL"


def event(type_: str, actor: str) -> str:
    return EVENT.format(type=type_, actor=actor)


def audit(type_: str, actor: str, provider: str | None = None) -> str:
    named = "NULL" if provider is None else f"'{provider}'"
    return AUDIT.format(type=type_, actor=actor, provider=named)


def inbox(status: str, reason: str | None = None) -> str:
    return INBOX.format(status=status, reason="NULL" if reason is None else f"'{reason}'")


def change(change: str) -> str:
    return SET.format(change=change)


class Try(NamedTuple):
    """A statement, and which logins may run it; the others are refused."""

    statement: str
    allowed: tuple[str, ...]
    status: str = "queued"


API, WORKER, OPERATOR = ("api",), ("worker",), ("operator",)
REQUESTS = API + OPERATOR
EVERY = API + WORKER + OPERATOR
NONE: tuple[str, ...] = ()

TRIES: Mapping[str, Try] = {
    # The audit: table, verb, row.
    "audit an operator's deed": Try(audit("retry", "operator:alice"), OPERATOR),
    "audit a deed in an owner's name": Try(audit("retry", "owner:alice"), NONE),
    "audit a deed in the worker's name": Try(audit("retry", "worker"), NONE),
    "audit a refused callback": Try(audit("callback_rejected", "provider:x", "x"), API),
    "audit a refused callback as an operator": Try(
        audit("callback_rejected", "operator:alice", "x"), NONE
    ),
    "audit another account's callback": Try(audit("callback_rejected", "provider:y", "x"), NONE),
    "audit an ignored callback": Try(audit("callback_ignored", "provider:x", "x"), WORKER),
    "audit a confirmed subscription": Try(
        audit("subscription_confirmed", "provider:x", "x"), WORKER
    ),
    "audit with a place in the chain": Try(
        "INSERT INTO audit_events (type, actor, chain_position) VALUES ('retry', 'operator:a', 1)",
        NONE,
    ),
    "audit with an instant of its own": Try(
        "INSERT INTO audit_events (type, actor, created_at) VALUES ('retry', 'operator:a', now())",
        NONE,
    ),
    "change the audit": Try("UPDATE audit_events SET actor = 'operator:bob'", NONE),
    "remove from the audit": Try("DELETE FROM audit_events", NONE),
    # The inbox.
    "store a callback": Try(inbox("new"), API),
    "store an unreadable callback": Try(inbox("dead", "unreadable"), API),
    "store a callback as applied": Try(inbox("applied"), NONE),
    "store a callback as ignored": Try(inbox("ignored"), NONE),
    "store a callback as given up": Try(inbox("dead", "too_many_tries"), NONE),
    "settle a callback": Try("UPDATE webhook_deliveries SET status = 'applied'", WORKER),
    "change a callback's body": Try("UPDATE webhook_deliveries SET body = 'forged'", NONE),
    "change a callback's account": Try("UPDATE webhook_deliveries SET provider = 'x'", NONE),
    "remove a callback": Try("DELETE FROM webhook_deliveries", NONE),
    # The chronicle.
    "chronicle an owner's retry": Try(event("retried", "owner:alice"), API),
    "chronicle another owner's retry": Try(event("retried", "owner:bob"), NONE),
    "chronicle an owner's fresh address": Try(event("source_readdressed", "owner:alice"), API),
    "chronicle a worker's fresh address": Try(event("source_readdressed", "worker"), NONE),
    "chronicle an owner's completion": Try(event("completed", "owner:alice"), NONE),
    "chronicle an owner's rollback": Try(event("rolled_back", "owner:alice"), NONE),
    "chronicle an operator's retry": Try(event("retried", "operator:alice"), OPERATOR),
    "chronicle an operator's rollback": Try(event("rolled_back", "operator:alice"), OPERATOR),
    "chronicle an operator's completion": Try(event("completed", "operator:alice"), NONE),
    "chronicle an operator's move": Try(event("move_requested", "operator:alice"), WORKER),
    "chronicle a completion": Try(event("completed", "provider:selfhosted"), WORKER),
    "chronicle a purge": Try(event("purged", "sweep"), WORKER),
    "chronicle a worker's deletion": Try(event("deleted", "worker"), NONE),
    "change the chronicle": Try("UPDATE video_processing_events SET actor = 'worker'", NONE),
    "remove from the chronicle": Try("DELETE FROM video_processing_events", NONE),
    # Edges of the states.
    "fail a queued video": Try(change(FAIL), EVERY),
    "fail a video in processing": Try(change(FAIL), EVERY, "processing"),
    "fail a completed video": Try(change(FAIL), WORKER, "completed"),
    "queue a failed video": Try(change(QUEUE), EVERY, "failed"),
    "queue a completed video": Try(change(QUEUE), EVERY, "completed"),
    "queue a video in processing": Try(change(QUEUE), WORKER, "processing"),
    "process a queued video": Try(change(PROCESS), WORKER),
    "process a completed video": Try(
        change(f"{PROCESS}, deadline_at = now()"), WORKER, "completed"
    ),
    "complete a failed video": Try(
        change("status = 'completed', error_code = NULL"), WORKER, "failed"
    ),
    "retry later": Try(change("status = 'retrying', error_code = 'x'"), WORKER),
    # Columns and values of a video.
    "give a fresh address of the source": Try(
        change("source_url = source_url || '?signature=2'"), REQUESTS
    ),
    "give the address of another source": Try(change("source_url = 'https://b.example/'"), NONE),
    "delete a video": Try(change("deleted_at = now()"), EVERY),
    "bring back a deleted video": Try(change("deleted_at = NULL"), NONE, "deleted"),
    "give a video away": Try(change("owner_id = 'bob'"), NONE),
    "change a video's source": Try(change("source_url = 'https://b.example/'"), NONE),
    "show a signed video to everybody": Try(change("playback = 'public'"), NONE),
    "publish other outputs": Try(
        change("published_output_id = gen_random_uuid()"), WORKER + OPERATOR
    ),
    "publish another address": Try(
        change("manifest_url = 'https://b.example/'"), WORKER + OPERATOR
    ),
    "revive a worker's lease": Try(change("lease_token = lease_token - 1"), NONE),
    "go back a generation": Try(change("generation = generation - 1"), NONE),
    "number events anew": Try(change("last_seq = 0"), NONE),
    "raise a lease's token": Try(change("lease_token = lease_token + 1"), EVERY),
    # The owner's books and uploads.
    "book more": Try("UPDATE owner_usage SET assets = assets + 1", EVERY),
    "forget what an owner used": Try("UPDATE owner_usage SET assets = 0", WORKER),
    "complete an upload": Try(
        "UPDATE uploads SET completed_at = now(), received_bytes = 1 WHERE completed_at IS NULL",
        REQUESTS,
    ),
    "open a completed upload again": Try(
        "UPDATE uploads SET completed_at = NULL WHERE completed_at IS NOT NULL", WORKER
    ),
    "change whose an upload is": Try("UPDATE uploads SET owner_id = 'bob'", NONE),
    # Secrets, keys, accounts.
    "make an API key": Try(
        "INSERT INTO api_keys (id, name, secret_sha256, scopes)"
        " VALUES (gen_random_uuid(), 'k', 'x', '{operator}')",
        OPERATOR,
    ),
    "widen an API key": Try("UPDATE api_keys SET scopes = '{operator}'", NONE),
    "revive an API key": Try("UPDATE api_keys SET revoked_at = NULL", OPERATOR),
    "plant a callback secret": Try(
        "INSERT INTO provider_secrets (id, provider, secret)"
        " VALUES (gen_random_uuid(), 'new', 'x')",
        OPERATOR,
    ),
    "enable an account": Try(
        "INSERT INTO provider_accounts (provider) VALUES ('new')", WORKER + OPERATOR
    ),
    "make an output": Try(
        "INSERT INTO video_outputs (id, asset_id, generation, attempt_id, manifest_url, renditions,"
        " duration_sec, width, height) VALUES (gen_random_uuid(), %(asset)s, 1, %(attempt)s, 'm',"
        " '[]', 1, 2, 2)",
        WORKER,
    ),
}


@pytest.fixture(scope="module")
def logins(databases: Databases, credentials: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """The logins of a generous database, and of its superuser."""
    name = f"khronika_narrow_{uuid4().hex[:8]}"
    url = databases.make(name)
    make_generous(databases, url)
    migrate_all(url)
    grant_logins(url, {role: credentials[f"{part}_password"] for part, role in ROLES.items()})
    yield {
        "admin": databases.admin_url_of(name),
        **{
            part: login_url(url, role, credentials[f"{part}_password"])
            for part, role in ROLES.items()
        },
    }
    databases.drop(name)


@pytest.fixture
def ids(logins: Mapping[str, str]) -> Iterator[Mapping[str, object]]:
    """A video of Alice's in the state that a test sets, an attempt, and a row of each table."""
    made = {name: uuid4() for name in ("asset", "attempt", "post")}
    with psycopg.connect(logins["admin"], autocommit=True) as admin:
        for statement in (
            """INSERT INTO video_assets (id, post_id, owner_id, source_url, max_attempts, provider,
                   deadline_at, last_seq, lease_token, attempt_id, published_output_id, playback)
               VALUES (%(asset)s, %(post)s, 'alice', 'https://a.example/', 5, 'selfhosted', now(),
                   5, 5, %(attempt)s, %(attempt)s, 'signed')""",
            """INSERT INTO provider_attempts (id, asset_id, generation, number, provider)
               VALUES (%(attempt)s, %(asset)s, 1, 1, 'selfhosted')""",
            """INSERT INTO video_processing_events (asset_id, seq, type, actor, generation)
               VALUES (%(asset)s, 1, 'created', 'owner:alice', 1)""",
            """INSERT INTO webhook_deliveries
                   (id, provider, event_id, headers, body, body_sha256)
               VALUES (%(asset)s, 'selfhosted', %(asset)s::text, '{}', '', '')""",
            "INSERT INTO audit_events (type, actor) VALUES ('retry', 'operator:alice')",
            "INSERT INTO owner_usage (owner_id, day, assets) VALUES ('alice', now(), 7)",
            """INSERT INTO api_keys (id, name, secret_sha256, scopes, revoked_at)
               VALUES (%(asset)s, 'k', %(asset)s::text, '{}', now())""",
            *(
                f"""INSERT INTO uploads (id, owner_id, post_id, filename, mime_type, size_bytes,
                        storage_key, expires_at, completed_at, received_bytes)
                    VALUES (gen_random_uuid(), 'alice', %(post)s, 'a', 'video/mp4', 1, 'k', now(),
                        {done})"""
                for done in ("NULL, NULL", "now(), 1")
            ),
        ):
            admin.execute(statement.encode(), made)
        yield made
        admin.execute("SET session_replication_role = replica")
        for table in (
            *("video_assets", "provider_attempts", "video_processing_events", "uploads"),
            *("webhook_deliveries", "audit_events", "audit_chain_ends", "owner_usage", "api_keys"),
        ):
            admin.execute(f"DELETE FROM {table}".encode())


STATES = {
    "queued": "status = 'queued'",
    "processing": "status = 'processing'",
    "completed": "status = 'completed', deadline_at = NULL",
    "failed": "status = 'failed', error_code = 'x', deadline_at = NULL",
    "deleted": "deleted_at = now()",
}


@pytest.mark.parametrize("login", ["api", "worker", "operator", "public"])
@pytest.mark.parametrize("what", TRIES)
def test_a_login_writes_what_it_means_and_nothing_else(
    logins: Mapping[str, str], ids: Mapping[str, object], what: str, login: str
) -> None:
    tried = TRIES[what]
    with psycopg.connect(logins["admin"]) as admin:
        admin.execute(change(STATES[tried.status]).encode(), ids)
    with psycopg.connect(logins[login]) as connection:
        become(connection, ALICE)
        try:
            done = connection.execute(tried.statement.encode(), ids).rowcount
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")  # the chain, too
        except psycopg.errors.InsufficientPrivilege:
            done = 0
        connection.rollback()
    assert (done > 0) == (login in tried.allowed)


@pytest.mark.parametrize("role", STRANGERS)
def test_a_role_of_the_site_reads_and_writes_no_table(
    logins: Mapping[str, str], ids: Mapping[str, object], role: str
) -> None:
    with psycopg.connect(logins["admin"], autocommit=True) as admin:
        tables = admin.execute(
            """SELECT oid::regclass::text FROM pg_class
               WHERE relnamespace IN ('public'::regnamespace, to_regnamespace('transcoder'))
                 AND relkind IN ('r', 'p') AND relname <> 'site_posts'"""
        ).fetchall()
        assert len(tables) > 20
        admin.execute(f"SET ROLE {role}".encode())
        for (table,) in tables:
            for statement in (f"SELECT FROM {table}", f"DELETE FROM {table}", f"TRUNCATE {table}"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    admin.execute(statement.encode())


def test_every_table_has_row_security_and_every_definer_a_pinned_path(
    logins: Mapping[str, str],
) -> None:
    with psycopg.connect(logins["admin"]) as admin:
        unprotected = admin.execute(
            """SELECT oid::regclass::text FROM pg_class
               WHERE relnamespace IN ('public'::regnamespace, to_regnamespace('transcoder'))
                 AND relkind IN ('r', 'p') AND NOT relrowsecurity AND relname <> 'site_posts'"""
        ).fetchall()
        loose = admin.execute(
            """SELECT oid::regprocedure::text FROM pg_proc
               WHERE pronamespace IN ('public'::regnamespace, to_regnamespace('transcoder'))
                 AND prosecdef AND proconfig IS DISTINCT FROM
                     ARRAY['search_path=pg_catalog, public, pg_temp']"""
        ).fetchall()
    assert (unprotected, loose) == ([], [])
