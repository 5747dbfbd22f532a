"""The differences of outputs from their source, and those of an asset's published outputs."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TABLES = ("video_outputs", "video_assets")


def upgrade() -> None:
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ADD COLUMN warnings jsonb NOT NULL DEFAULT '[]'")
    for role in ("khronika_worker", "khronika_operator"):
        op.execute(f"GRANT UPDATE (warnings) ON video_assets TO {role}")


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} DROP COLUMN warnings")
