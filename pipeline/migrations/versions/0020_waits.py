"""Waits for a passing trouble: their number, and the instant from which their deadline counts."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

COLUMNS = "holds, held_since"
ROLES = ("khronika_api", "khronika_operator", "khronika_worker")


def upgrade() -> None:
    op.execute(
        "ALTER TABLE video_assets ADD COLUMN holds integer NOT NULL DEFAULT 0,"
        " ADD COLUMN held_since timestamptz"
    )
    op.execute(f"GRANT UPDATE ({COLUMNS}) ON video_assets TO {', '.join(ROLES)}")


def downgrade() -> None:
    op.execute("ALTER TABLE video_assets DROP COLUMN held_since, DROP COLUMN holds")
