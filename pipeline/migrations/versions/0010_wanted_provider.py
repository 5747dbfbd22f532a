"""The account that a video is to move to. A move does not count as its owner's work."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NOT_MOVING = "AND a.wanted_provider IS NULL"


def upgrade() -> None:
    op.execute("ALTER TABLE video_assets ADD COLUMN wanted_provider text")
    op.execute("""
        CREATE INDEX video_assets_wanted ON video_assets (wanted_provider, status)
        WHERE wanted_provider IS NOT NULL AND deleted_at IS NULL
    """)
    _count_live(NOT_MOVING)


def downgrade() -> None:
    _count_live("")
    op.execute("ALTER TABLE video_assets DROP COLUMN wanted_provider")


def _count_live(condition: str) -> None:
    op.execute(f"""
        CREATE OR REPLACE FUNCTION khronika_live_assets(owner text) RETURNS bigint
        LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtextextended('live assets of ' || owner, 0));
            RETURN (
                SELECT count(*) FROM public.video_assets a
                WHERE a.owner_id = owner AND a.status IN ('queued', 'retrying', 'processing')
                  AND a.deleted_at IS NULL {condition}
                  AND a.hold_reason IS DISTINCT FROM 'awaiting_enqueue');
        END $$
    """)  # noqa: S608 - a condition of this file
