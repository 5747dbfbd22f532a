"""Indexes: one live asset per post, one owner per provider job, one index for each sweep."""

from alembic import op

revision = "0004"
down_revision = "0003"

INDEXES = {
    "video_assets_post_live": "UNIQUE ON video_assets (post_id) WHERE deleted_at IS NULL",
    "video_assets_provider_job": (
        "UNIQUE ON video_assets (provider, provider_job_id) WHERE provider_job_id IS NOT NULL"
    ),
    "video_assets_owner": "ON video_assets (owner_id, created_at DESC, id)",
    "video_assets_owner_live": (
        "ON video_assets (owner_id) "
        "WHERE status IN ('queued', 'retrying', 'processing') AND deleted_at IS NULL"
    ),
    "video_assets_status_updated": "ON video_assets (status, updated_at, id)",
    "video_assets_failed": (
        "ON video_assets (error_code, updated_at, id) INCLUDE (provider) "
        "WHERE status = 'failed' AND deleted_at IS NULL"
    ),
    "video_assets_due": (
        "ON video_assets (next_attempt_at) "
        "WHERE status IN ('queued', 'retrying') AND deleted_at IS NULL"
    ),
    "video_assets_held": (
        "ON video_assets (hold_reason, provider, next_attempt_at) "
        "WHERE hold_reason IS NOT NULL AND status IN ('queued', 'retrying') "
        "AND deleted_at IS NULL"
    ),
    "video_assets_lease": (
        "ON video_assets (lease_expires_at) "
        "WHERE status = 'processing' AND lease_expires_at IS NOT NULL AND deleted_at IS NULL"
    ),
    "video_assets_poll": (
        "ON video_assets (next_poll_at) "
        "WHERE status = 'processing' AND next_poll_at IS NOT NULL AND deleted_at IS NULL"
    ),
    "video_assets_deadline": (
        "ON video_assets (deadline_at) "
        "WHERE status IN ('queued', 'retrying', 'processing') AND deleted_at IS NULL"
    ),
    "video_assets_purge": (
        "ON video_assets (deleted_at) WHERE deleted_at IS NOT NULL AND purged_at IS NULL"
    ),
    "video_assets_completed": (
        "ON video_assets (completed_at) INCLUDE (created_at, provider) "
        "WHERE completed_at IS NOT NULL AND deleted_at IS NULL"
    ),
    "provider_attempts_asset": "ON provider_attempts (asset_id, number)",
    "provider_attempts_job": (
        "UNIQUE ON provider_attempts (provider_job_id, provider) WHERE provider_job_id IS NOT NULL"
    ),
    "provider_attempts_created": "ON provider_attempts (created_at)",
    "provider_attempts_debt": (
        "ON provider_attempts (release_requested_at) "
        "WHERE release_requested_at IS NOT NULL AND released_at IS NULL"
    ),
    "provider_attempts_purge": ("ON provider_attempts (purge_at) WHERE purge_at IS NOT NULL"),
    "video_outputs_asset": "ON video_outputs (asset_id, generation)",
    "video_outputs_attempt": "UNIQUE ON video_outputs (attempt_id)",
    "webhook_deliveries_unread": "ON webhook_deliveries (next_try_at) WHERE status = 'new'",
    "webhook_deliveries_asset": (
        "ON webhook_deliveries (asset_id, received_at, id) WHERE asset_id IS NOT NULL"
    ),
    "webhook_deliveries_received": "ON webhook_deliveries (status, received_at, id)",
    "uploads_owner": "ON uploads (owner_id, created_at)",
    "uploads_expiry": "ON uploads (expires_at) WHERE completed_at IS NULL",
    "uploads_unclaimed": (
        "ON uploads (completed_at) WHERE completed_at IS NOT NULL AND claimed_at IS NULL"
    ),
    "uploads_owner_unclaimed": "ON uploads (owner_id) WHERE claimed_at IS NULL",
    "idempotency_keys_expiry": "ON idempotency_keys (expires_at)",
    "owner_usage_day": "ON owner_usage (day)",
    "provider_secrets_provider": "ON provider_secrets (provider, created_at)",
    "provider_secrets_newest": "UNIQUE ON provider_secrets (provider) WHERE retires_at IS NULL",
    "video_processing_events_missed": (
        "ON video_processing_events (created_at) WHERE type = 'callback_missed'"
    ),
    "video_processing_events_failures": (
        "ON video_processing_events (asset_id, seq) WHERE to_status IN ('failed', 'retrying')"
    ),
    "audit_events_source": "ON audit_events (source, created_at) WHERE source IS NOT NULL",
    "audit_events_created": "ON audit_events (created_at)",
    "audit_events_actor": "ON audit_events (actor, id)",
    "audit_events_operators": "ON audit_events (id) WHERE actor LIKE 'operator:%'",
}


def upgrade() -> None:
    for name, definition in INDEXES.items():
        unique, _, on = definition.rpartition("ON ")
        op.execute(f"CREATE {unique}INDEX {name} ON {on}")


def downgrade() -> None:
    for name in INDEXES:
        op.execute(f"DROP INDEX {name}")
