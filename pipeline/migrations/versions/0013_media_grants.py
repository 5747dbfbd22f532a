"""A function that decides on a media token by the rows on which it depends.

It serves tokens of providers (the source of an open attempt), of the gate (the outputs of an
attempt that is not published yet) and of viewers of a source that stands in for a failed video.
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

VIEWER = "khronika_viewer"
SIGNATURE = "khronika_media_grant(wanted uuid, holder uuid, is_source boolean)"
# Only within the function does the viewer reach attempts whose output is not published.
PUBLISHED = "EXISTS (SELECT FROM video_outputs o WHERE o.attempt_id = provider_attempts.id)"
SETTING = "khronika.within_media_grant"
WITHIN = f"current_setting('{SETTING}', true) = 'on'"
COLUMNS = "asset_id, outcome, release_requested_at, purged_at"
CANCELLED = "a.status = 'failed' AND a.error_code = 'cancelled'"
QUERY = f"""
    SELECT EXISTS (
        SELECT FROM video_assets a
        LEFT JOIN provider_attempts t ON t.id = holder AND t.asset_id = a.id
        WHERE a.id = wanted AND a.deleted_at IS NULL AND CASE
            WHEN holder IS NULL AND is_source
                THEN a.allow_original AND a.status = 'failed' AND a.published_output_id IS NULL
            WHEN holder IS NULL THEN a.published_output_id IS NOT NULL
            WHEN t.id IS NULL OR ({CANCELLED}) THEN false
            WHEN is_source
                THEN t.release_requested_at IS NULL
                     AND (t.outcome IS NULL OR t.outcome = 'accepted')
            ELSE t.purged_at IS NULL
        END)
"""  # noqa: S608 - a condition of this file
BODY = f"""
    DECLARE granted boolean;
    BEGIN
        PERFORM set_config('{SETTING}', 'on', true);
        granted := ({QUERY});
        PERFORM set_config('{SETTING}', 'off', true);
        RETURN granted;
    END
"""


def _reach_attempts(condition: str) -> None:
    op.execute(f"DROP POLICY {VIEWER}_viewer ON provider_attempts")
    op.execute(
        f"CREATE POLICY {VIEWER}_viewer ON provider_attempts FOR SELECT TO {VIEWER}"
        f" USING ({condition})"
    )


def upgrade() -> None:
    op.execute(f"GRANT SELECT ({COLUMNS}) ON provider_attempts TO {VIEWER}")
    _reach_attempts(f"{WITHIN} OR {PUBLISHED}")
    op.execute(f"GRANT {VIEWER} TO CURRENT_USER")
    op.execute(f"GRANT CREATE ON SCHEMA public TO {VIEWER}")
    op.execute(f"""
        CREATE FUNCTION {SIGNATURE} RETURNS boolean
        LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = pg_catalog, public, pg_temp
        AS $$ {BODY} $$
    """)
    op.execute(f"ALTER FUNCTION khronika_media_grant(uuid, uuid, boolean) OWNER TO {VIEWER}")
    op.execute("REVOKE ALL ON FUNCTION khronika_media_grant(uuid, uuid, boolean) FROM PUBLIC")
    op.execute(
        "GRANT EXECUTE ON FUNCTION khronika_media_grant(uuid, uuid, boolean) TO khronika_api"
    )
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {VIEWER}")


def downgrade() -> None:
    op.execute("DROP FUNCTION khronika_media_grant(uuid, uuid, boolean)")
    _reach_attempts(PUBLISHED)
    op.execute(f"REVOKE SELECT ({COLUMNS}) ON provider_attempts FROM {VIEWER}")  # noqa: S608
