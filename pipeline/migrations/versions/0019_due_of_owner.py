"""An index of the due videos of each owner: the end of a submission wakes the owner's next one."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

INDEX = "video_assets_owner_due"


def upgrade() -> None:
    op.execute(
        f"CREATE INDEX {INDEX} ON video_assets (owner_id, next_attempt_at) "
        "WHERE status IN ('queued', 'retrying') AND deleted_at IS NULL"
    )


def downgrade() -> None:
    op.execute(f"DROP INDEX {INDEX}")
