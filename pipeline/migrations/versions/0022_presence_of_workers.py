"""The presence of workers and the runs of their tasks; the codes of events; the stages of attempts.

An attempt is accepted before it ends: its stages are measured when each of them is over.
"""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

METER = "khronika_meter"
PINNED = "SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp"
BOUNDS_SEC = "ARRAY[0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 10800, 21600]"

TABLES = {
    "worker_presence": "process text PRIMARY KEY, queues text[] NOT NULL, seen_at timestamptz",
    "task_runs": "task text PRIMARY KEY, ended_at timestamptz",
}
GRANTS = (
    ("worker_presence", "khronika_worker", "SELECT, INSERT, UPDATE, DELETE"),
    ("worker_presence", "khronika_operator", "SELECT"),
    ("task_runs", "khronika_worker", "SELECT, INSERT, UPDATE"),
    ("task_runs", "khronika_operator", "SELECT"),
)

COUNT_EVENT = f"""
    CREATE OR REPLACE FUNCTION khronika_count_event() RETURNS trigger
    LANGUAGE plpgsql {PINNED} AS $$
    BEGIN
        PERFORM khronika_count('khronika_events',
            ARRAY[NEW.type, coalesce(NEW.provider, ''), coalesce(NEW.detail ->> 'code', '')], 1);
        RETURN NULL;
    END $$
"""
COUNT_ATTEMPT = f"""
    CREATE OR REPLACE FUNCTION khronika_count_attempt() RETURNS trigger
    LANGUAGE plpgsql {PINNED} AS $$
    DECLARE
        was_open boolean := OLD.outcome IS NULL OR OLD.outcome = 'accepted';
    BEGIN
        PERFORM khronika_count('khronika_attempts',
            ARRAY[NEW.provider, NEW.outcome, coalesce(NEW.error_code, '')], 1);
        IF OLD.outcome IS NULL THEN
            PERFORM khronika_observe('khronika_stage_duration_seconds',
                ARRAY[stage, NEW.provider, NEW.outcome], {BOUNDS_SEC}, ended_at - began_at)
            FROM (VALUES
                ('prepare', NEW.created_at, coalesce(NEW.intended_at, clock_timestamp())),
                ('submit', NEW.intended_at, coalesce(NEW.submitted_at, clock_timestamp()))
            ) AS stages (stage, began_at, ended_at);
        END IF;
        IF was_open AND NEW.outcome <> 'accepted' THEN
            PERFORM khronika_observe('khronika_stage_duration_seconds',
                ARRAY['process', NEW.provider, NEW.outcome], {BOUNDS_SEC},
                clock_timestamp() - NEW.submitted_at);
        END IF;
        RETURN NULL;
    END $$
"""


def upgrade() -> None:
    for table, columns in TABLES.items():
        op.execute(f"CREATE TABLE {table} ({columns})")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    for table, role, privileges in GRANTS:
        op.execute(f"GRANT {privileges} ON {table} TO {role}")
        read_only = privileges == "SELECT"
        command, check = ("SELECT", "") if read_only else ("ALL", "WITH CHECK (true)")
        op.execute(
            f"CREATE POLICY {role}_presence ON {table} FOR {command} TO {role} USING (true) {check}"
        )
    _replace_functions()
    # Series of events that were counted without a code.
    op.execute("ALTER TABLE metric_counts NO FORCE ROW LEVEL SECURITY")
    op.execute(
        "UPDATE metric_counts SET labels = labels || ''::text"
        " WHERE name = 'khronika_events' AND cardinality(labels) = 2"
    )
    op.execute("ALTER TABLE metric_counts FORCE ROW LEVEL SECURITY")


def _replace_functions() -> None:
    op.execute(f"GRANT CREATE ON SCHEMA public TO {METER}")
    for definition in (COUNT_EVENT, COUNT_ATTEMPT):
        op.execute(definition)
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {METER}")


def downgrade() -> None:
    # The functions stay: the next migration down drops them, and their counts.
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
