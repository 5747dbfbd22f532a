"""Provider accounts: their state and their pace. Outputs that are playable before all are there."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

LATER = ("fallback_url", "poster_url", "thumbnail_url")
"""Columns of ``video_outputs`` that a provider may fill after the manifest plays."""

TABLES = ("provider_accounts", "provider_pace")

GRANTS = (
    ("provider_accounts", "khronika_worker", "SELECT, INSERT, UPDATE"),
    ("provider_accounts", "khronika_operator", "SELECT, INSERT, UPDATE"),
    ("provider_pace", "khronika_worker", "SELECT, INSERT, UPDATE"),
    ("provider_pace", "khronika_operator", "SELECT"),
)
POLICIES = tuple(
    (f"{role}_{name}", table, role)
    for table in TABLES
    for role, name in (("khronika_worker", "worker"), ("khronika_operator", "operator"))
)


def upgrade() -> None:
    op.execute("""
        CREATE TABLE provider_accounts (
            provider text PRIMARY KEY,
            state text NOT NULL DEFAULT 'enabled'
                CONSTRAINT provider_accounts_state
                CHECK (state IN ('enabled', 'drain', 'disabled')),
            paused_until timestamptz,
            problem text,
            problem_at timestamptz,
            lies integer NOT NULL DEFAULT 0,
            probation_at timestamptz,
            changed_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT provider_accounts_problem
                CHECK ((problem IS NULL) = (problem_at IS NULL))
        )
    """)
    op.execute("""
        CREATE TABLE provider_pace (
            provider text NOT NULL,
            verb text NOT NULL,
            free_at timestamptz NOT NULL,
            PRIMARY KEY (provider, verb)
        )
    """)
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    for table, role, privileges in GRANTS:
        op.execute(f"GRANT {privileges} ON {table} TO {role}")
    for name, table, role in POLICIES:
        op.execute(
            f"CREATE POLICY {name} ON {table} FOR ALL TO {role} USING (true) WITH CHECK (true)"
        )
    op.execute("ALTER TABLE provider_attempts ADD COLUMN vendor jsonb NOT NULL DEFAULT '{}'")
    for column in LATER:
        op.execute(f"ALTER TABLE video_outputs ALTER COLUMN {column} DROP NOT NULL")
    op.execute("ALTER TABLE webhook_deliveries ADD COLUMN query text NOT NULL DEFAULT ''")
    op.execute("ALTER TABLE webhook_deliveries ADD COLUMN digest text NOT NULL DEFAULT ''")
    op.execute("ALTER TABLE webhook_deliveries NO FORCE ROW LEVEL SECURITY")
    op.execute("UPDATE webhook_deliveries SET digest = body_sha256")
    op.execute("ALTER TABLE webhook_deliveries FORCE ROW LEVEL SECURITY")
    op.execute(
        "GRANT INSERT (query, digest), SELECT (digest) ON webhook_deliveries TO khronika_api"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE webhook_deliveries DROP COLUMN digest, DROP COLUMN query")
    op.execute("ALTER TABLE video_outputs NO FORCE ROW LEVEL SECURITY")
    for column in LATER:
        op.execute(f"UPDATE video_outputs SET {column} = '' WHERE {column} IS NULL")  # noqa: S608
        op.execute(f"ALTER TABLE video_outputs ALTER COLUMN {column} SET NOT NULL")
    op.execute("ALTER TABLE video_outputs FORCE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE provider_attempts DROP COLUMN vendor")
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
