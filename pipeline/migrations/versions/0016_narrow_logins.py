"""Each login writes what its part of the product means to write, and no other row.

Columns are held by grants, names and types by policies, and changes from one value to another by
triggers, because a policy does not see the old row.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

CHANGED_BY_OWNERS = (
    "status, generation, failures, claims, progress, progress_at, error_code, error_message, "
    "hold_reason, next_attempt_at, woken_at, next_poll_at, deadline_at, lease_token, "
    "lease_expires_at, last_seq, deleted_at"
)
PUBLISHED = (
    "published_output_id, manifest_url, fallback_url, poster_url, thumbnail_url, storyboard_url, "
    "duration_sec, width, height"
)
CREATED = (
    "id, post_id, owner_id, source_url, upload_id, source_size_bytes, declared, title, "
    "poster_time_sec, playback, allow_original, charged_bytes, charged_sec, max_attempts, "
    "provider, next_attempt_at, woken_at, deadline_at, last_seq, hold_reason"
)
# All but the owner's wishes: whose the video is, its source, its title, its playback policy.
PROCESSED = (
    f"{CHANGED_BY_OWNERS}, {PUBLISHED}, source_size_bytes, source_etag, source_info, "
    "charged_bytes, charged_sec, attempt, attempt_id, max_attempts, provider, wanted_provider, "
    "provider_job_id, "
    "updated_at, playable_at, completed_at, purged_at"
)
COMPLETED = (
    "storage_upload_id, received_bytes, source_info, completed_at, expires_at, checking_until, "
    "checks, refusal"
)

# (role, the privilege on a whole table, the columns that are left of it, table).
NARROWED = (
    ("khronika_operator", "INSERT", CREATED, "video_assets"),
    ("khronika_operator", "UPDATE", f"{CHANGED_BY_OWNERS}, {PUBLISHED}", "video_assets"),
    ("khronika_worker", "UPDATE", PROCESSED, "video_assets"),
    ("khronika_worker", "UPDATE", "completed_at, expires_at", "uploads"),
)
# An operator completes an owner's upload in a transaction that records it.
ADDED = (
    ("khronika_operator", f"UPDATE ({COMPLETED})", "uploads"),
    ("khronika_operator", "DELETE", "upload_parts"),
)

USER = "(SELECT nullif(current_setting('khronika.user_id', true), ''))"
OF_OWNERS = "'created', 'retried', 'cancelled', 'reencode_requested', 'deleted'"
OF_OPERATORS = f"{OF_OWNERS}, 'enqueued', 'rolled_back'"
OF_COMMANDS = "'move_requested', 'written_off'"
NOT_OF_WORKERS = (
    "'created', 'cancelled', 'reencode_requested', 'deleted', 'enqueued', 'rolled_back', "
    f"{OF_COMMANDS}"
)

# (table, role, policy) → (the command and its conditions before, the ones from now on).
POLICIES = {
    ("video_processing_events", "khronika_api", "owner_writes"): (
        f"FOR INSERT TO khronika_api WITH CHECK (actor = 'owner:' || {USER})",
        (
            f"FOR INSERT TO khronika_api WITH CHECK (actor = 'owner:' || {USER}"
            f" AND type IN ({OF_OWNERS}))"
        ),
    ),
    ("webhook_deliveries", "khronika_api", "receives"): (
        "FOR INSERT TO khronika_api WITH CHECK (status IN ('new', 'dead'))",
        (
            "FOR INSERT TO khronika_api WITH CHECK ((status = 'new' AND reason IS NULL)"
            " OR (status = 'dead' AND reason = 'unreadable' AND next_try_at IS NULL))"
        ),
    ),
}
# Policies for every command, each replaced by one that reads and one that inserts.
CHRONICLERS = {
    "operator": f"actor LIKE 'operator:%' AND type IN ({OF_OPERATORS})",
    "worker": (
        "((actor IN ('worker', 'sweep') OR actor LIKE 'provider:%')"
        f" AND type NOT IN ({NOT_OF_WORKERS}))"
        f" OR (actor LIKE 'operator:%' AND type IN ({OF_COMMANDS}))"
    ),
}

REFUSE = """
    CREATE FUNCTION khronika_refuse_value() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is refused: %', TG_TABLE_NAME, TG_NAME
            USING ERRCODE = 'insufficient_privilege';
    END $$
"""
OF_REQUESTS = "current_user IN ('khronika_api', 'khronika_operator')"
# Trigger → (table, the columns that it watches, the condition of a refusal).
TRIGGERS = {
    "video_assets_state_of_workers": (
        "video_assets",
        "status",
        (
            f"{OF_REQUESTS} AND OLD.status IS DISTINCT FROM NEW.status AND NOT ("
            " (NEW.status = 'failed' AND OLD.status IN ('queued', 'retrying', 'processing'))"
            " OR (NEW.status = 'queued' AND OLD.status IN ('failed', 'completed')))"
        ),
    ),
    "video_assets_goes_forward": (
        "video_assets",
        "lease_token, generation, last_seq",
        (
            "NEW.lease_token < OLD.lease_token OR NEW.generation < OLD.generation"
            " OR NEW.last_seq < OLD.last_seq"
        ),
    ),
    "video_assets_stays_deleted": (
        "video_assets",
        "deleted_at",
        "OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL",
    ),
    "uploads_stays_as_checked": (
        "uploads",
        "completed_at, received_bytes, storage_upload_id",
        (
            f"{OF_REQUESTS} AND OLD.completed_at IS NOT NULL"
            " AND (NEW.completed_at, NEW.received_bytes, NEW.storage_upload_id)"
            " IS DISTINCT FROM (OLD.completed_at, OLD.received_bytes, OLD.storage_upload_id)"
        ),
    ),
    "owner_usage_only_grows": (
        "owner_usage",
        "assets, bytes, media_sec",
        (
            f"{OF_REQUESTS} AND (NEW.assets < OLD.assets OR NEW.bytes < OLD.bytes"
            " OR NEW.media_sec < OLD.media_sec)"
        ),
    ),
}


def upgrade() -> None:
    for role, privilege, columns, table in NARROWED:
        op.execute(f"REVOKE {privilege} ON {table} FROM {role}")
        op.execute(f"GRANT {privilege} ({columns}) ON {table} TO {role}")
    for role, privilege, table in ADDED:
        op.execute(f"GRANT {privilege} ON {table} TO {role}")
    for (table, role, name), (_, narrow) in POLICIES.items():
        _replace(table, f"{role}_{name}", narrow)
    for part, check in CHRONICLERS.items():
        role = f"khronika_{part}"
        op.execute(f"DROP POLICY {role}_{part} ON video_processing_events")
        op.execute(
            f"CREATE POLICY {role}_reads ON video_processing_events FOR SELECT TO {role}"
            " USING (true)"
        )
        op.execute(
            f"CREATE POLICY {role}_writes ON video_processing_events FOR INSERT TO {role}"
            f" WITH CHECK ({check})"
        )
    op.execute(REFUSE)
    op.execute("REVOKE ALL ON FUNCTION khronika_refuse_value() FROM PUBLIC")
    for name, (table, columns, condition) in TRIGGERS.items():
        op.execute(
            f"CREATE TRIGGER {name} BEFORE UPDATE OF {columns} ON {table} FOR EACH ROW"
            f" WHEN ({condition}) EXECUTE FUNCTION khronika_refuse_value()"
        )


def _replace(table: str, policy: str, definition: str) -> None:
    op.execute(f"DROP POLICY {policy} ON {table}")
    op.execute(f"CREATE POLICY {policy} ON {table} {definition}")


def downgrade() -> None:
    for name, (table, *_) in TRIGGERS.items():
        op.execute(f"DROP TRIGGER {name} ON {table}")
    op.execute("DROP FUNCTION khronika_refuse_value()")
    for part in CHRONICLERS:
        role = f"khronika_{part}"
        for name in ("reads", "writes"):
            op.execute(f"DROP POLICY {role}_{name} ON video_processing_events")
        op.execute(
            f"CREATE POLICY {role}_{part} ON video_processing_events FOR ALL TO {role}"
            " USING (true) WITH CHECK (true)"
        )
    for (table, role, name), (wide, _) in POLICIES.items():
        _replace(table, f"{role}_{name}", wide)
    for role, privilege, table in ADDED:
        op.execute(f"REVOKE {privilege} ON {table} FROM {role}")
    for role, privilege, columns, table in NARROWED:
        op.execute(f"REVOKE {privilege} ({columns}) ON {table} FROM {role}")
        op.execute(f"GRANT {privilege} ON {table} TO {role}")
