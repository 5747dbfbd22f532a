"""Row-level security on every table: a role without a policy of ours reads nothing.

A right that a site's default privileges or a hand gives a role is then still of no use.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

TABLES = ("jobs", "callbacks")


def upgrade() -> None:
    for table in TABLES:
        op.execute(
            f"CREATE POLICY khronika_transcoder_serves ON transcoder.{table}"
            " FOR ALL TO khronika_transcoder USING (true) WITH CHECK (true)"
        )
        op.execute(f"ALTER TABLE transcoder.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE transcoder.{table} FORCE ROW LEVEL SECURITY")
    # Not forced: the owner, who migrates, writes it.
    op.execute("ALTER TABLE transcoder.alembic_version ENABLE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.execute("ALTER TABLE transcoder.alembic_version DISABLE ROW LEVEL SECURITY")
    for table in TABLES:
        op.execute(f"ALTER TABLE transcoder.{table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE transcoder.{table} DISABLE ROW LEVEL SECURITY")
        op.execute(f"DROP POLICY khronika_transcoder_serves ON transcoder.{table}")
