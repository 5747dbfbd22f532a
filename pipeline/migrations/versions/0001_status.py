"""The five states as an enum."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TYPE video_processing_status AS ENUM
            ('queued', 'processing', 'completed', 'failed', 'retrying')
    """)


def downgrade() -> None:
    op.execute("DROP TYPE video_processing_status")
