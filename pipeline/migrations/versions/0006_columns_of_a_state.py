"""Columns tied to the states that have them."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

WAITING = "status IN ('queued', 'retrying')"
LIVE = "status IN ('queued', 'retrying', 'processing')"

# Each of these columns is null in every state that its condition does not name.
ONLY_IN = {
    "progress": "status IN ('processing', 'completed')",
    "progress_at": "status IN ('processing', 'completed')",
    "lease_expires_at": "status = 'processing'",
    "next_poll_at": "status = 'processing'",
    "next_attempt_at": WAITING,
    "hold_reason": WAITING,
    "deadline_at": LIVE,
    "error_code": "status IN ('retrying', 'failed')",
    "error_message": "status IN ('retrying', 'failed')",
}
REQUIRED = {
    "retrying_says_why": "status <> 'retrying' OR error_code IS NOT NULL",
    "processing_has_attempt": "status <> 'processing' OR attempt_id IS NOT NULL",
}


def upgrade() -> None:
    # Older rows may break the conditions, such as a video cancelled at 40 %. While row-level
    # security is forced, the owner of the table sees no row.
    op.execute("ALTER TABLE video_assets NO FORCE ROW LEVEL SECURITY")
    for column, condition in ONLY_IN.items():
        op.execute(
            f"UPDATE video_assets SET {column} = NULL "  # noqa: S608 - names of our own
            f"WHERE {column} IS NOT NULL AND NOT ({condition})"
        )
    op.execute("ALTER TABLE video_assets FORCE ROW LEVEL SECURITY")
    for column, condition in ONLY_IN.items():
        _check(f"{column}_state", f"{column} IS NULL OR {condition}")
    for name, condition in REQUIRED.items():
        _check(name, condition)


def _check(name: str, condition: str) -> None:
    op.execute(f"ALTER TABLE video_assets ADD CONSTRAINT video_assets_{name} CHECK ({condition})")


def downgrade() -> None:
    for name in [*REQUIRED, *(f"{column}_state" for column in ONLY_IN)]:
        op.execute(f"ALTER TABLE video_assets DROP CONSTRAINT video_assets_{name}")
