"""Claims of the check of an upload, and the refusal that it ended with."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

COLUMNS = "checking_until, checks, refusal"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE uploads
            ADD COLUMN checking_until timestamptz,
            ADD COLUMN checks integer NOT NULL DEFAULT 0,
            ADD COLUMN refusal jsonb
    """)
    op.execute(f"GRANT UPDATE ({COLUMNS}) ON uploads TO khronika_api")


def downgrade() -> None:
    op.execute("""
        ALTER TABLE uploads
            DROP COLUMN checking_until, DROP COLUMN checks, DROP COLUMN refusal
    """)
