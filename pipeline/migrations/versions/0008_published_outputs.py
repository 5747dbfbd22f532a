"""Functions that look up one asset's published output, for its stable address."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

VIEWER = "khronika_viewer"
OUTPUT = (
    ("playback", "text"),
    ("provider", "text"),
    ("manifest_url", "text"),
    ("fallback_url", "text"),
    ("poster_url", "text"),
    ("thumbnail_url", "text"),
    ("storyboard_url", "text"),
)
COLUMNS = {
    "video_outputs": "id, asset_id, attempt_id",
    "provider_attempts": "id, provider",
}
# The viewer reaches the rows of published outputs and no others.
POLICIES = {
    "video_outputs": """EXISTS (SELECT FROM video_assets a
        WHERE a.id = asset_id AND a.published_output_id = video_outputs.id)""",
    "provider_attempts": """EXISTS (SELECT FROM video_outputs o
        WHERE o.attempt_id = provider_attempts.id)""",
}
FUNCTIONS = {
    # The API calls it after it has checked a token. The public view's login may not.
    "khronika_output": (
        """SELECT a.playback, t.provider, a.manifest_url, a.fallback_url, a.poster_url,
                  a.thumbnail_url, a.storyboard_url
           FROM video_assets a
           LEFT JOIN video_outputs o ON o.id = a.published_output_id
           LEFT JOIN provider_attempts t ON t.id = o.attempt_id
           WHERE a.id = wanted AND a.deleted_at IS NULL AND a.published_output_id IS NOT NULL""",
        ("khronika_api",),
    ),
    "public_output": (
        "SELECT * FROM khronika_output(wanted) WHERE playback = 'public'",
        ("khronika_api", "khronika_public"),
    ),
}


def upgrade() -> None:
    for table, columns in COLUMNS.items():
        op.execute(f"GRANT SELECT ({columns}) ON {table} TO {VIEWER}")
        op.execute(
            f"CREATE POLICY {VIEWER}_viewer ON {table} FOR SELECT TO {VIEWER}"
            f" USING ({POLICIES[table]})"
        )
    op.execute(f"GRANT {VIEWER} TO CURRENT_USER")
    op.execute(f"GRANT CREATE ON SCHEMA public TO {VIEWER}")
    returned = ", ".join(f"{name} {type_}" for name, type_ in OUTPUT)
    for name, (query, callers) in FUNCTIONS.items():
        op.execute(f"""
            CREATE FUNCTION {name}(wanted uuid) RETURNS TABLE ({returned})
            LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
            AS $$ {query} $$
        """)
        op.execute(f"ALTER FUNCTION {name}(uuid) OWNER TO {VIEWER}")
        op.execute(f"REVOKE ALL ON FUNCTION {name}(uuid) FROM PUBLIC")
        for caller in callers:
            op.execute(f"GRANT EXECUTE ON FUNCTION {name}(uuid) TO {caller}")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {VIEWER}")


def downgrade() -> None:
    for name in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {name}(uuid)")
    for table, columns in reversed(COLUMNS.items()):
        op.execute(f"DROP POLICY {VIEWER}_viewer ON {table}")
        op.execute(f"REVOKE SELECT ({columns}) ON {table} FROM {VIEWER}")  # noqa: S608
