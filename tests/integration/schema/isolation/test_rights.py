"""Every table and function of the schema, tried as every role."""

from collections.abc import Iterator, Mapping

import psycopg
import pytest

from tests.integration.schema.isolation.reach import VERBS, Actor, reach_of
from tests.integration.schema.isolation.rows import ROWS, Ids, seed

ACTORS: Mapping[str, Actor] = {
    "owner alice": Actor("api", "alice"),
    "owner bob": Actor("api", "bob"),
    "user id unset": Actor("api"),
    "user id empty": Actor("api", ""),
    "made-up user id": Actor("api", "nobody-at-all"),
    "worker": Actor("worker"),
    "operator": Actor("operator"),
    "public": Actor("public"),
    "viewer": Actor("owner", role="khronika_viewer"),
    "transcoder": Actor("transcoder"),
}

# SELECT, INSERT, UPDATE, DELETE: `*` everybody's rows, `o` one's own, `0` none, `-` no such right.
# Columns: an owner, the API without a user, worker, operator, public, viewer, transcoder.
HEAD = ("owner", "no user", "worker", "operator", "public", "viewer", "transcoder")
REACH: Mapping[str, tuple[str, ...]] = {
    "video_assets": ("ooo-", "000-", "*-*-", "***-", "----", "*---", "----"),
    "video_processing_events": ("oo--", "00--", "*0--", "*0--", "----", "----", "----"),
    "provider_attempts": ("o-o-", "0-0-", "***-", "*-*-", "----", "0---", "----"),
    "video_outputs": ("o---", "0---", "***-", "*-*-", "----", "0---", "----"),
    "uploads": ("ooo-", "000-", "*-**", "***-", "----", "0---", "----"),
    "upload_parts": ("oooo", "0000", "*--*", "*--*", "----", "----", "----"),
    "idempotency_keys": ("oooo", "0000", "*--*", "****", "----", "----", "----"),
    "owner_usage": ("ooo-", "000-", "****", "***-", "----", "----", "----"),
    "provider_spend": ("----", "----", "****", "*---", "----", "----", "----"),
    "provider_breakers": ("----", "----", "***-", "*---", "----", "----", "----"),
    "provider_accounts": ("----", "----", "***-", "***-", "----", "----", "----"),
    "provider_pace": ("----", "----", "***-", "*---", "----", "----", "----"),
    "provider_secrets": ("*---", "*---", "*---", "***-", "----", "----", "----"),
    "api_keys": ("*-*-", "*-*-", "----", "***-", "----", "----", "----"),
    "webhook_deliveries": ("**--", "**--", "*-*-", "*---", "----", "----", "----"),
    "rollout_owners": ("----", "----", "----", "**-*", "----", "*---", "----"),
    "cache_purges": ("----", "----", "****", "*---", "----", "-*--", "----"),
    "worker_presence": ("----", "----", "****", "*---", "----", "----", "----"),
    "task_runs": ("----", "----", "***-", "*---", "----", "----", "----"),
    "audit_events": ("*0--", "*0--", "*0--", "**--", "----", "----", "----"),
}
COLUMN_OF: Mapping[str, str] = {
    **dict.fromkeys(("owner alice", "owner bob"), "owner"),
    **dict.fromkeys(("user id unset", "user id empty", "made-up user id"), "no user"),
}

UNOWNED = {"alembic_version"}
"""Holds the number of the last migration; readable by the API, for /readyz, and not otherwise."""

CHAIN = {"audit_chain_ends"}
"""Written by the functions of the audit's chain only; ``test_audit_chain.py`` tries to."""

COUNTED = {"metric_counts"}
"""Written by triggers only; ``test_kept_metrics.py`` tries to."""

SINGLE = {"rollout"}
"""Has one row, which belongs to nobody; ``test_rollout.py`` tries to reach it."""

LOGINS = ("api", "worker", "operator", "public", "transcoder")
ROLES = tuple(f"khronika_{part}" for part in (*LOGINS, "viewer"))

# (table, role, verb): the columns that a right is limited to.
CHANGED_BY_OWNERS = {
    *("status", "generation", "failures", "claims", "progress", "progress_at", "error_code"),
    *("error_message", "hold_reason", "next_attempt_at", "woken_at", "next_poll_at"),
    *("deadline_at", "lease_token", "lease_expires_at", "last_seq", "deleted_at"),
    *("holds", "held_since"),
}
PUBLISHED = {
    *("published_output_id", "manifest_url", "fallback_url", "poster_url", "thumbnail_url"),
    *("storyboard_url", "duration_sec", "width", "height", "warnings"),
}
SHOWN_TO_EVERYBODY = {
    *("id", "post_id", "status", "progress", "provider_job_id", "published_output_id"),
    *("playback", "title", "manifest_url", "fallback_url", "poster_url", "thumbnail_url"),
    *("storyboard_url", "duration_sec", "width", "height", "declared", "updated_at"),
    *("deleted_at", "allow_original", "error_code", "source_url", "upload_id", "source_info"),
    *("next_attempt_at", "completed_at"),
}
SAID_BY_CREATE = {
    *("id", "post_id", "owner_id", "source_url", "upload_id", "source_size_bytes", "declared"),
    *("title", "poster_time_sec", "playback", "allow_original", "charged_bytes", "charged_sec"),
    *("max_attempts", "provider", "next_attempt_at", "woken_at", "deadline_at", "last_seq"),
}
AUDITED = {"type", "reason", "actor", "provider", "source", "request_id", "detail"}
OWED = {"release_requested_at", "purge_at"}
COLUMNS: Mapping[tuple[str, str, str], set[str]] = {
    ("video_assets", "khronika_api", "INSERT"): SAID_BY_CREATE,
    ("video_assets", "khronika_api", "UPDATE"): CHANGED_BY_OWNERS | {"source_url"},
    ("video_assets", "khronika_viewer", "SELECT"): SHOWN_TO_EVERYBODY,
    ("uploads", "khronika_api", "INSERT"): {
        *("id", "owner_id", "post_id", "filename", "mime_type", "size_bytes", "storage_key"),
        *("part_size_bytes", "created_at", "expires_at"),
    },
    ("upload_parts", "khronika_api", "INSERT"): {"upload_id", "number", "size_bytes", "etag"},
    ("idempotency_keys", "khronika_api", "INSERT"): {
        *("owner_id", "route", "key", "request_sha256", "expires_at"),
    },
    ("uploads", "khronika_api", "UPDATE"): {
        *("storage_upload_id", "received_bytes", "source_info", "completed_at", "expires_at"),
        *("claimed_at", "checking_until", "checks", "refusal"),
    },
    ("uploads", "khronika_operator", "UPDATE"): {
        *("storage_upload_id", "received_bytes", "source_info", "completed_at", "expires_at"),
        *("claimed_at", "checking_until", "checks", "refusal"),
    },
    ("uploads", "khronika_worker", "UPDATE"): {"completed_at", "expires_at"},
    ("video_assets", "khronika_operator", "INSERT"): SAID_BY_CREATE | {"hold_reason"},
    ("video_assets", "khronika_operator", "UPDATE"): CHANGED_BY_OWNERS | PUBLISHED | {"source_url"},
    ("video_assets", "khronika_worker", "UPDATE"): {
        *CHANGED_BY_OWNERS,
        *PUBLISHED,
        *("source_size_bytes", "source_etag", "source_info", "charged_bytes", "charged_sec"),
        *("attempt", "attempt_id", "max_attempts", "provider", "wanted_provider"),
        *("provider_job_id", "updated_at", "playable_at", "completed_at", "purged_at"),
    },
    ("rollout", "khronika_viewer", "SELECT"): {"percent"},
    ("rollout_owners", "khronika_viewer", "SELECT"): {"owner_id"},
    ("uploads", "khronika_viewer", "SELECT"): {"id", "storage_key"},
    ("provider_attempts", "khronika_api", "UPDATE"): OWED,
    ("provider_attempts", "khronika_viewer", "SELECT"): {
        *("id", "provider", "asset_id", "outcome", "release_requested_at", "purged_at"),
    },
    ("video_outputs", "khronika_viewer", "SELECT"): {"id", "asset_id", "attempt_id", "generation"},
    ("cache_purges", "khronika_viewer", "INSERT"): {"asset_id", "reason"},
    ("provider_attempts", "khronika_operator", "UPDATE"): OWED,
    ("video_outputs", "khronika_operator", "UPDATE"): {"published_at", "retired_at"},
    ("webhook_deliveries", "khronika_api", "INSERT"): {
        *("id", "provider", "event_id", "headers", "body", "body_sha256", "status", "reason"),
        *("next_try_at", "query", "digest"),
    },
    ("webhook_deliveries", "khronika_api", "SELECT"): {
        *("id", "provider", "event_id", "body_sha256", "digest"),
    },
    ("provider_secrets", "khronika_operator", "UPDATE"): {"retires_at"},
    ("api_keys", "khronika_api", "UPDATE"): {"last_used_at"},
    ("api_keys", "khronika_operator", "UPDATE"): {"revoked_at", "last_used_at"},
    ("audit_events", "khronika_api", "INSERT"): AUDITED,
    ("audit_events", "khronika_worker", "INSERT"): AUDITED,
    ("audit_events", "khronika_operator", "INSERT"): AUDITED,
    ("webhook_deliveries", "khronika_worker", "UPDATE"): {
        *("status", "reason", "tries", "next_try_at", "settled_at", "asset_id"),
    },
    ("audit_events", "khronika_api", "SELECT"): {"source", "created_at"},
}

FUNCTIONS: Mapping[str, set[str]] = {
    "public_assets": {"api", "worker", "operator", "public", "viewer"},
    "public_output": {"api", "public", "viewer"},
    "khronika_output": {"api", "viewer"},
    "khronika_media_grant": {"api", "viewer"},
    "khronika_cards": {"api", "operator", "viewer"},
    "khronika_turns": {"api", "operator", "viewer"},
    "khronika_live_assets": {"api", "operator"},
    "khronika_enrolled": {"api", "operator", "viewer"},
    "khronika_make_event_partitions": {"worker"},
    "khronika_prune_audit": {"worker"},
    "khronika_forget_addresses": {"worker"},
    "khronika_empty_deliveries": {"worker"},
    "khronika_chain_audit": set(),
    "khronika_note_call": {"worker"},
    "khronika_metric_shard": set(),
    "khronika_add": set(),
    "khronika_count": set(),
    "khronika_observe": set(),
    "khronika_shift": set(),
    "khronika_count_edge": set(),
}
"""Who may call a function; the owner of the schema aside. What is not here is for triggers."""

DEFINERS = {
    *("public_assets", "public_output", "khronika_output", "khronika_media_grant"),
    *("khronika_owe_purge", "khronika_withdraw_cancelled"),
    *("khronika_turns", "khronika_make_event_partitions", "khronika_enrolled"),
    *("khronika_prune_audit", "khronika_forget_addresses", "khronika_empty_deliveries"),
    *("khronika_chain_audit", "khronika_chain_new"),
    *("khronika_count_asset", "khronika_count_event", "khronika_count_attempt"),
    *("khronika_count_callback", "khronika_note_call"),
}
"""Run with their owner's rights and not with the caller's."""


@pytest.fixture
def belongings(role_urls: Mapping[str, str]) -> Mapping[str, Ids]:
    return seed(role_urls)


@pytest.fixture
def catalogue(role_urls: Mapping[str, str]) -> Iterator[psycopg.Connection]:
    with psycopg.connect(role_urls["owner"]) as connection:
        yield connection


@pytest.mark.parametrize("who", ACTORS)
def test_a_role_reaches_what_the_table_says_and_no_more(
    role_urls: Mapping[str, str], belongings: Mapping[str, Ids], who: str
) -> None:
    place = HEAD.index(COLUMN_OF.get(who, who))
    with ACTORS[who].entered(role_urls) as connection:
        reached = {table: reach_of(connection, ACTORS[who], table, belongings) for table in ROWS}

    assert reached == {table: reach[place] for table, reach in REACH.items()}


def test_every_table_is_in_the_table(catalogue: psycopg.Connection) -> None:
    tables = catalogue.execute("""
        SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
          AND NOT relispartition
    """)
    assert {name for (name,) in tables} == REACH.keys() | UNOWNED | CHAIN | COUNTED | SINGLE
    assert REACH.keys() == ROWS.keys()


def test_a_right_to_some_columns_is_to_these(catalogue: psycopg.Connection) -> None:
    granted = catalogue.execute(
        """SELECT c.relname, r.rolname, v.verb, array_agg(a.attname::text)
           FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
               AND NOT a.attisdropped,
               unnest(%s::text[]) AS r(rolname),
               unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) AS v(verb)
           WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
             AND NOT has_table_privilege(r.rolname, c.oid, v.verb)
             AND has_column_privilege(r.rolname, c.oid, a.attnum, v.verb)
           GROUP BY 1, 2, 3""",
        [list(ROLES)],
    )
    assert {(table, role, verb): set(names) for table, role, verb, names in granted} == COLUMNS


def test_nobody_truncates_references_or_hangs_triggers(catalogue: psycopg.Connection) -> None:
    able = catalogue.execute(
        """SELECT c.relname, role, verb FROM pg_class c, unnest(%s::text[]) AS role,
               unnest(ARRAY['TRUNCATE', 'REFERENCES', 'TRIGGER']) AS verb
           WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
             AND has_table_privilege(role, c.oid, verb)""",
        [list(ROLES)],
    )
    assert able.fetchall() == []


def test_only_the_owner_changes_the_schema(catalogue: psycopg.Connection) -> None:
    roles = catalogue.execute(
        """SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb
                  OR rolreplication,
               has_schema_privilege(rolname, 'public', 'CREATE'),
               has_database_privilege(rolname, current_database(), 'CREATE'),
               (SELECT count(*) FROM pg_class WHERE relowner = r.oid AND relnamespace =
                    'public'::regnamespace),
               (SELECT count(*) FROM pg_auth_members WHERE member = r.oid)
           FROM pg_roles r WHERE rolname = ANY (%s)""",
        [list(ROLES)],
    ).fetchall()

    nothing = (False, False, False, 0, 0)
    assert {name: rights for name, *rights in roles} == {role: [*nothing] for role in ROLES}


@pytest.mark.parametrize("part", LOGINS)
def test_no_login_alters_a_table_or_its_policies(role_urls: Mapping[str, str], part: str) -> None:
    with psycopg.connect(role_urls[part]) as connection:
        for statement in (
            "ALTER TABLE video_assets DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE video_assets NO FORCE ROW LEVEL SECURITY",
            "DROP POLICY khronika_api_owner ON video_assets",
            "CREATE POLICY open ON video_assets USING (true)",
            "TRUNCATE video_assets CASCADE",
            "DROP TABLE uploads CASCADE",
            "CREATE TABLE mine (id integer)",
            "ALTER FUNCTION public_assets(uuid[]) SECURITY INVOKER",
            "SET SESSION AUTHORIZATION khronika_viewer",
        ):
            with (
                pytest.raises(psycopg.errors.InsufficientPrivilege),
                connection.transaction(force_rollback=True),
            ):
                connection.execute(statement)


def test_row_security_is_forced_on_every_table_and_partition(
    catalogue: psycopg.Connection,
) -> None:
    open_ones = catalogue.execute("""
        SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
          AND NOT (relrowsecurity AND relforcerowsecurity)
    """)
    assert {name for (name,) in open_ones} == UNOWNED


def test_a_partition_is_reached_through_its_table_only(
    catalogue: psycopg.Connection, role_urls: Mapping[str, str]
) -> None:
    with psycopg.connect(role_urls["worker"]) as connection:
        connection.execute("SELECT khronika_make_event_partitions(6)")
    able = catalogue.execute(
        """SELECT c.relname, role, verb
           FROM pg_class c, unnest(%s::text[]) AS role, unnest(%s::text[]) AS verb
           WHERE c.relispartition AND c.relkind = 'r'
             AND has_table_privilege(role, c.oid, verb)""",
        [list(ROLES), [*VERBS, "TRUNCATE"]],
    )
    assert able.fetchall() == []


def test_a_function_is_called_by_those_it_is_for(catalogue: psycopg.Connection) -> None:
    able = catalogue.execute(
        """SELECT p.proname, array_agg(role) FILTER
               (WHERE has_function_privilege(role, p.oid, 'EXECUTE'))
           FROM pg_proc p, unnest(%s::text[]) AS role
           WHERE p.pronamespace = 'public'::regnamespace
             AND p.prorettype <> 'trigger'::regtype
           GROUP BY p.proname""",
        [list(ROLES)],
    )
    callers = {name: {r.removeprefix("khronika_") for r in roles or ()} for name, roles in able}
    assert callers == FUNCTIONS


def test_what_runs_with_anothers_rights_looks_in_fixed_places_the_callers_own_last(
    catalogue: psycopg.Connection,
) -> None:
    definers = catalogue.execute("""
        SELECT proname, proconfig FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND prosecdef
    """).fetchall()
    assert {name for name, _ in definers} == DEFINERS
    assert all(paths == ["search_path=pg_catalog, public, pg_temp"] for _, paths in definers)


def test_a_table_of_the_callers_own_stands_in_for_none_of_ours(
    role_urls: Mapping[str, str], belongings: Mapping[str, Ids]
) -> None:
    theirs = belongings["bob"].asset
    with Actor("api", "alice").entered(role_urls) as connection:
        connection.execute("CREATE TEMPORARY TABLE video_assets (id uuid)")
        connection.execute("INSERT INTO pg_temp.video_assets VALUES (%s)", [theirs])
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="no such asset"):
            connection.execute(
                """INSERT INTO video_processing_events (asset_id, seq, type, actor, generation)
                   VALUES (%s, 2, 'retried', 'owner:alice', 1)""",
                [theirs],
            )


def test_the_logins_of_the_pipeline_and_the_transcoder_do_not_enter_each_others_schema(
    catalogue: psycopg.Connection,
) -> None:
    able = catalogue.execute(
        """SELECT role FROM unnest(%s::text[]) AS role
           WHERE has_schema_privilege(role, 'transcoder', 'USAGE')""",
        [list(ROLES)],
    )
    assert able.fetchall() == [("khronika_transcoder",)]
