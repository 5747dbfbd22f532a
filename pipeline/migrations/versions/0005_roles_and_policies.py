"""Four logins with narrow grants, and row-level security forced on every table.

Roles belong to the whole server, so they are made if absent and never dropped. The user's id is
``khronika.user_id``, set for one transaction; without it the policies match no row.
"""

from collections.abc import Sequence

from alembic import op

revision = "0005"
down_revision = "0004"

LOGINS = ("khronika_api", "khronika_worker", "khronika_operator", "khronika_public")
VIEWER = "khronika_viewer"

TABLES = (
    "video_assets",
    "provider_attempts",
    "video_outputs",
    "video_processing_events",
    "webhook_deliveries",
    "uploads",
    "upload_parts",
    "idempotency_keys",
    "owner_usage",
    "provider_spend",
    "provider_breakers",
    "provider_secrets",
    "api_keys",
    "audit_events",
)

# The sub-select is evaluated once a statement, not once a row.
USER = "(SELECT nullif(current_setting('khronika.user_id', true), ''))"
OWN_UPLOAD = "EXISTS (SELECT FROM uploads u WHERE u.id = upload_id)"
OWN_ASSET = "EXISTS (SELECT FROM video_assets a WHERE a.id = asset_id)"
# The id of an upload is the id of its asset.
STANDS_IN = (
    "EXISTS (SELECT FROM video_assets a"
    " WHERE a.id = uploads.id AND a.allow_original AND a.status = 'failed')"
)

# Columns that cancel, retry, re-encode and delete write. The API can change neither the owner of a
# video, nor its source, nor its published output.
CHANGED_BY_OWNERS = (
    "status, generation, failures, claims, progress, progress_at, error_code, error_message, "
    "hold_reason, next_attempt_at, woken_at, next_poll_at, deadline_at, lease_token, "
    "lease_expires_at, last_seq, deleted_at"
)
# Columns that create, tickets and the inbox set in a new row; later facts are excluded. A new video
# is therefore queued, with nothing published.
CREATED = (
    "id, post_id, owner_id, source_url, upload_id, source_size_bytes, declared, title, "
    "poster_time_sec, playback, allow_original, charged_bytes, charged_sec, max_attempts, "
    "provider, next_attempt_at, woken_at, deadline_at, last_seq"
)
ANNOUNCED = (
    "id, owner_id, post_id, filename, mime_type, size_bytes, storage_key, part_size_bytes, "
    "created_at, expires_at"
)
CALLED_BACK = "id, provider, event_id, headers, body, body_sha256, status, reason, next_try_at"
ASKED_ONCE = "owner_id, route, key, request_sha256, expires_at"
AUDITED = "type, reason, actor, provider, source, request_id, detail"
ARRIVED = "storage_upload_id, received_bytes, source_info, completed_at, expires_at, claimed_at"

# For each table and role, its privileges.
GRANTS = (
    ("video_assets", "khronika_api", f"SELECT, INSERT ({CREATED}), UPDATE ({CHANGED_BY_OWNERS})"),
    ("provider_attempts", "khronika_api", "SELECT, UPDATE (release_requested_at, purge_at)"),
    ("video_outputs", "khronika_api", "SELECT"),
    ("video_processing_events", "khronika_api", "SELECT, INSERT"),
    ("uploads", "khronika_api", f"SELECT, INSERT ({ANNOUNCED}), UPDATE ({ARRIVED})"),
    ("idempotency_keys", "khronika_api", f"SELECT, INSERT ({ASKED_ONCE}), UPDATE, DELETE"),
    (
        "webhook_deliveries",
        "khronika_api",
        f"INSERT ({CALLED_BACK}), SELECT (id, provider, event_id, body_sha256)",
    ),
    (
        "upload_parts",
        "khronika_api",
        "SELECT, INSERT (upload_id, number, size_bytes, etag), UPDATE, DELETE",
    ),
    ("owner_usage", "khronika_api", "SELECT, INSERT, UPDATE"),
    ("provider_secrets", "khronika_api", "SELECT"),
    ("api_keys", "khronika_api", "SELECT, UPDATE (last_used_at)"),
    ("audit_events", "khronika_api", f"INSERT ({AUDITED}), SELECT (source, created_at)"),
    ("video_assets", "khronika_worker", "SELECT, UPDATE"),
    ("provider_attempts", "khronika_worker", "SELECT, INSERT, UPDATE"),
    ("video_outputs", "khronika_worker", "SELECT, INSERT, UPDATE"),
    ("video_processing_events", "khronika_worker", "SELECT, INSERT"),
    ("webhook_deliveries", "khronika_worker", "SELECT, UPDATE"),
    ("uploads", "khronika_worker", "SELECT, UPDATE, DELETE"),
    ("idempotency_keys", "khronika_worker", "SELECT, DELETE"),
    ("upload_parts", "khronika_worker", "SELECT, DELETE"),
    ("owner_usage", "khronika_worker", "SELECT, INSERT, UPDATE, DELETE"),
    ("provider_spend", "khronika_worker", "SELECT, INSERT, UPDATE, DELETE"),
    ("provider_breakers", "khronika_worker", "SELECT, INSERT, UPDATE"),
    ("provider_secrets", "khronika_worker", "SELECT"),
    ("audit_events", "khronika_worker", "SELECT, INSERT"),
    ("video_assets", "khronika_operator", "SELECT, INSERT, UPDATE"),
    ("provider_attempts", "khronika_operator", "SELECT, UPDATE (release_requested_at, purge_at)"),
    ("video_outputs", "khronika_operator", "SELECT, UPDATE (published_at, retired_at)"),
    ("video_processing_events", "khronika_operator", "SELECT, INSERT"),
    ("webhook_deliveries", "khronika_operator", "SELECT"),
    ("uploads", "khronika_operator", "SELECT, INSERT, UPDATE (claimed_at)"),
    ("idempotency_keys", "khronika_operator", "SELECT, INSERT, UPDATE, DELETE"),
    ("upload_parts", "khronika_operator", "SELECT"),
    ("owner_usage", "khronika_operator", "SELECT, INSERT, UPDATE"),
    ("provider_spend", "khronika_operator", "SELECT"),
    ("provider_breakers", "khronika_operator", "SELECT"),
    ("provider_secrets", "khronika_operator", "SELECT, INSERT, UPDATE (retires_at)"),
    ("api_keys", "khronika_operator", "SELECT, INSERT, UPDATE (revoked_at, last_used_at)"),
    ("audit_events", "khronika_operator", "SELECT, INSERT"),
)

# (name, table, role, policy command, USING, WITH CHECK); None leaves the clause out.
POLICIES = (
    ("owner", "video_assets", "khronika_api", "ALL", f"owner_id = {USER}", f"owner_id = {USER}"),
    ("owner", "provider_attempts", "khronika_api", "ALL", OWN_ASSET, OWN_ASSET),
    ("owner_reads", "video_outputs", "khronika_api", "SELECT", OWN_ASSET, None),
    ("owner_reads", "video_processing_events", "khronika_api", "SELECT", OWN_ASSET, None),
    # A policy's sub-select does not see an asset inserted by the same statement. The policy
    # therefore checks only the actor of an owner's event. A trigger after the statement checks that
    # its writer sees the asset.
    (
        "owner_writes",
        "video_processing_events",
        "khronika_api",
        "INSERT",
        None,
        f"actor = 'owner:' || {USER}",
    ),
    ("owner", "uploads", "khronika_api", "ALL", f"owner_id = {USER}", f"owner_id = {USER}"),
    (
        "owner",
        "idempotency_keys",
        "khronika_api",
        "ALL",
        f"owner_id = {USER}",
        f"owner_id = {USER}",
    ),
    ("owner", "upload_parts", "khronika_api", "ALL", OWN_UPLOAD, OWN_UPLOAD),
    ("owner", "owner_usage", "khronika_api", "ALL", f"owner_id = {USER}", f"owner_id = {USER}"),
    # The caller is unknown while a key or a callback is checked. The tables hold no usable secret:
    # digests of keys, and encrypted secrets.
    ("identifies", "api_keys", "khronika_api", "ALL", "true", "true"),
    ("verifies", "provider_secrets", "khronika_api", "SELECT", "true", None),
    # A callback has no user: the API may add to the inbox and read its event ids.
    ("receives", "webhook_deliveries", "khronika_api", "INSERT", None, "status IN ('new', 'dead')"),
    ("recognises", "webhook_deliveries", "khronika_api", "SELECT", "true", None),
    ("records", "audit_events", "khronika_api", "INSERT", None, "true"),
    ("bounds", "audit_events", "khronika_api", "SELECT", "true", None),
    *(("worker", table, "khronika_worker", "ALL", "true", "true") for table in TABLES),
    *(("operator", table, "khronika_operator", "ALL", "true", "true") for table in TABLES),
    ("viewer", "video_assets", VIEWER, "SELECT", "deleted_at IS NULL", None),
    ("viewer", "uploads", VIEWER, "SELECT", STANDS_IN, None),
)

# Columns that the functions of cards and queue places read; the functions return less.
VIEWER_COLUMNS = {
    "video_assets": (
        "id, post_id, status, progress, provider_job_id, published_output_id, playback, title, "
        "manifest_url, fallback_url, poster_url, thumbnail_url, storyboard_url, duration_sec, "
        "width, height, declared, updated_at, deleted_at, allow_original, error_code, source_url, "
        "upload_id, source_info, next_attempt_at, completed_at"
    ),
    "uploads": "id, storage_key",
}

CARD = (
    ("id", "uuid"),
    ("post_id", "uuid"),
    ("status", "video_processing_status"),
    ("progress", "double precision"),
    ("submitted", "boolean"),
    ("playable", "boolean"),
    ("playback", "text"),
    ("title", "text"),
    ("manifest_url", "text"),
    ("fallback_url", "text"),
    ("poster_url", "text"),
    ("thumbnail_url", "text"),
    ("storyboard_url", "text"),
    ("duration_sec", "double precision"),
    ("width", "integer"),
    ("height", "integer"),
    ("updated_at", "timestamptz"),
    ("original", "jsonb"),
)
CONTENT = frozenset(
    {
        "title",
        "manifest_url",
        "fallback_url",
        "poster_url",
        "thumbnail_url",
        "storyboard_url",
        "original",
    }
)
"""Columns of a signed asset that a viewer without a right does not see."""

TURNS = 1000
"""Places in the queue that are computed; a place further back is a long wait in any case."""
COMPLETIONS = 100


def _make_roles() -> None:
    for role in (*LOGINS, VIEWER):
        login = "NOLOGIN" if role == VIEWER else "LOGIN"
        # Two databases of one server may be migrated at once; the second one finds the role.
        op.execute(f"""
            DO $$ BEGIN
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
                    CREATE ROLE {role} {login} NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
                END IF;
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
            END $$
        """)


def _guard_events() -> None:
    # Tables are named with their schema, because a writer's temporary table would come first.
    op.execute("""
        CREATE FUNCTION khronika_refuse_strangers() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT EXISTS (SELECT FROM public.video_assets WHERE id = NEW.asset_id) THEN
                RAISE EXCEPTION 'no such asset' USING ERRCODE = 'insufficient_privilege';
            END IF;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER video_processing_events_of_own_assets
        AFTER INSERT ON video_processing_events
        FOR EACH ROW EXECUTE FUNCTION khronika_refuse_strangers()
    """)


def _make_cap() -> None:
    """Make the count of an owner's live assets, under a lock of one transaction at a time.

    Volatile, so that the count begins after the lock is granted. It then sees the commits of the
    lock's earlier holders and the rows of the calling statement. Assets that a backfill has only
    registered do not count.
    """
    op.execute("""
        CREATE FUNCTION khronika_live_assets(owner text) RETURNS bigint
        LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtextextended('live assets of ' || owner, 0));
            RETURN (
                SELECT count(*) FROM public.video_assets a
                WHERE a.owner_id = owner AND a.status IN ('queued', 'retrying', 'processing')
                  AND a.deleted_at IS NULL
                  AND a.hold_reason IS DISTINCT FROM 'awaiting_enqueue');
        END $$
    """)
    op.execute("REVOKE ALL ON FUNCTION khronika_live_assets(text) FROM PUBLIC")
    for role in ("khronika_api", "khronika_operator"):
        op.execute(f"GRANT EXECUTE ON FUNCTION khronika_live_assets(text) TO {role}")


def _make_cards() -> None:
    """Make the function of cards, which runs with the caller's rights.

    ``original`` holds the facts by which the API lets the source stand in; null if the row alone
    excludes it.
    """
    returned = ", ".join(f"{name} {type_}" for name, type_ in CARD)
    op.execute(f"""
        CREATE FUNCTION khronika_cards(wanted uuid[]) RETURNS TABLE ({returned})
        LANGUAGE sql STABLE SECURITY INVOKER AS $$
            SELECT a.id, a.post_id, a.status, a.progress, a.provider_job_id IS NOT NULL,
                   a.published_output_id IS NOT NULL, a.playback, a.title,
                   a.manifest_url, a.fallback_url, a.poster_url, a.thumbnail_url,
                   a.storyboard_url, a.duration_sec,
                   coalesce(a.width, (a.declared ->> 'width')::integer),
                   coalesce(a.height, (a.declared ->> 'height')::integer),
                   a.updated_at,
                   CASE WHEN a.status = 'failed' AND a.published_output_id IS NULL
                             AND a.allow_original AND a.source_info IS NOT NULL
                             AND (a.upload_id IS NOT NULL OR starts_with(a.source_url, 'storage:'))
                        THEN jsonb_build_object(
                            'address', coalesce(a.source_url, 'storage:' || (
                                SELECT u.storage_key FROM public.uploads u
                                WHERE u.id = a.upload_id)),
                            'error_code', a.error_code,
                            'container', a.source_info -> 'container',
                            'video_codec', a.source_info -> 'video_codec',
                            'pixel_format', a.source_info -> 'pixel_format',
                            'audio_codec', a.source_info -> 'audio_codec')
                   END
            FROM public.video_assets a
            WHERE a.post_id = ANY (wanted) AND a.deleted_at IS NULL
        $$
    """)  # noqa: S608 - columns of this file
    op.execute("REVOKE ALL ON FUNCTION khronika_cards(uuid[]) FROM PUBLIC")
    for role in ("khronika_api", "khronika_operator", VIEWER):
        op.execute(f"GRANT EXECUTE ON FUNCTION khronika_cards(uuid[]) TO {role}")


def _make_public_view() -> None:
    returned = ", ".join(f"{name} {type_}" for name, type_ in CARD)
    shown = ", ".join(
        f"CASE WHEN c.playback = 'public' THEN c.{name} END" if name in CONTENT else f"c.{name}"
        for name, _ in CARD
    )
    op.execute(f"""
        CREATE FUNCTION public_assets(wanted uuid[]) RETURNS TABLE ({returned})
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT {shown} FROM khronika_cards(wanted) c
        $$
    """)  # noqa: S608 - columns of this file
    _give_to_viewer("public_assets(uuid[])", callers=LOGINS)


def _make_turns() -> None:
    """Make the function of queue places, which counts the due videos of all owners before one.

    It reads the first ``TURNS`` due videos. It estimates the wait by the last completions, up to
    ``COMPLETIONS`` within an hour; fewer than five give no estimate.
    """
    op.execute(f"""
        CREATE FUNCTION khronika_turns(wanted uuid[])
        RETURNS TABLE (asset_id uuid, place bigint, wait_sec double precision)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            WITH due AS (
                SELECT d.id, row_number() OVER (ORDER BY d.next_attempt_at, d.id) AS place
                FROM (SELECT id, next_attempt_at FROM video_assets
                      WHERE status IN ('queued', 'retrying') AND deleted_at IS NULL
                        AND next_attempt_at <= now()
                      ORDER BY next_attempt_at, id LIMIT {TURNS}) d
            ), pace AS (
                SELECT count(*) AS completed,
                       CAST(extract(epoch FROM now() - min(c.completed_at)) AS double precision)
                       AS took_sec
                FROM (SELECT completed_at FROM video_assets
                      WHERE completed_at > now() - interval '1 hour' AND deleted_at IS NULL
                      ORDER BY completed_at DESC LIMIT {COMPLETIONS}) c
            )
            SELECT due.id, due.place,
                   CASE WHEN completed >= 5 THEN due.place * took_sec / completed END
            FROM due CROSS JOIN pace WHERE due.id = ANY (wanted)
        $$
    """)  # noqa: S608 - numbers of this file
    _give_to_viewer("khronika_turns(uuid[])", callers=("khronika_api", "khronika_operator"))


def _give_to_viewer(function: str, *, callers: Sequence[str]) -> None:
    """Make the viewer role the owner of a function, which then can read only its columns."""
    op.execute(f"GRANT {VIEWER} TO CURRENT_USER")
    op.execute(f"GRANT CREATE ON SCHEMA public TO {VIEWER}")
    op.execute(f"ALTER FUNCTION {function} OWNER TO {VIEWER}")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {VIEWER}")
    op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
    for caller in callers:
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {caller}")


def upgrade() -> None:
    _make_roles()
    for role in (*LOGINS, VIEWER):
        op.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    for table, role, privileges in GRANTS:
        op.execute(f"GRANT {privileges} ON {table} TO {role}")
    for name, table, role, command, using, check in POLICIES:
        seen = f"USING ({using})" if using else ""
        written = f"WITH CHECK ({check})" if check else ""
        op.execute(
            f"CREATE POLICY {role}_{name} ON {table} FOR {command} TO {role} {seen} {written}"
        )
    # /readyz compares the revision of the database with the code's.
    op.execute("GRANT SELECT ON alembic_version TO khronika_api")
    op.execute("REVOKE ALL ON FUNCTION khronika_make_event_partitions(integer) FROM PUBLIC")
    op.execute(
        "GRANT EXECUTE ON FUNCTION khronika_make_event_partitions(integer) TO khronika_worker"
    )
    _guard_events()
    _make_cap()
    _make_cards()
    for table, columns in VIEWER_COLUMNS.items():
        op.execute(f"GRANT SELECT ({columns}) ON {table} TO {VIEWER}")
    _make_public_view()
    _make_turns()


def downgrade() -> None:
    op.execute("DROP FUNCTION khronika_turns(uuid[])")
    op.execute("DROP FUNCTION public_assets(uuid[])")
    op.execute("DROP FUNCTION khronika_cards(uuid[])")
    op.execute("DROP FUNCTION khronika_live_assets(text)")
    op.execute("DROP TRIGGER video_processing_events_of_own_assets ON video_processing_events")
    op.execute("DROP FUNCTION khronika_refuse_strangers()")
    for name, table, role, *_ in POLICIES:
        op.execute(f"DROP POLICY {role}_{name} ON {table}")
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    for role in (*LOGINS, VIEWER):
        op.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}")
        op.execute(f"REVOKE ALL ON SCHEMA public FROM {role}")
        op.execute(f"REVOKE ALL ON FUNCTION khronika_make_event_partitions(integer) FROM {role}")
