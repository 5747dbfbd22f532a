"""Counters that triggers keep in the transaction of the change that they count.

A transaction counts in a shard that it has to itself, as in the pipeline's schema. The triggers run
with the rights of the service, whose login this schema is for.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

ROLE = "khronika_transcoder"
PINNED = "SET search_path = pg_catalog, transcoder, pg_temp"
BOUNDS_SEC = (
    "ARRAY[1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 10800, 21600]::double precision[]"
)

# The pipeline's shards have the number 21; this schema's have another one.
SHARD = f"""
    CREATE FUNCTION transcoder.metric_shard() RETURNS integer
    LANGUAGE plpgsql VOLATILE {PINNED} AS $$
    DECLARE
        shard integer := nullif(current_setting('khronika.transcoder_shard', true), '')::integer;
    BEGIN
        IF shard IS NOT NULL THEN
            RETURN shard;
        END IF;
        shard := 0;
        WHILE NOT pg_try_advisory_xact_lock(22, shard) LOOP
            shard := shard + 1;
        END LOOP;
        PERFORM set_config('khronika.transcoder_shard', shard::text, true);
        RETURN shard;
    END $$
"""
COUNT = f"""
    CREATE FUNCTION transcoder.count_one(
        metric text, label_values text[], bound double precision, sec double precision
    ) RETURNS void LANGUAGE plpgsql VOLATILE {PINNED} AS $$
    BEGIN
        INSERT INTO metric_counts AS kept (name, labels, le, shard, total, seconds)
        VALUES (metric, label_values, bound, metric_shard(), 1, sec)
        ON CONFLICT (name, labels, le, shard) DO UPDATE
        SET total = kept.total + 1, seconds = kept.seconds + excluded.seconds;
    END $$
"""  # noqa: S608 - a text of this file
OBSERVE = f"""
    CREATE FUNCTION transcoder.observe(
        metric text, label_values text[], sec double precision
    ) RETURNS void LANGUAGE plpgsql VOLATILE {PINNED} AS $$
    BEGIN
        IF sec IS NOT NULL THEN
            PERFORM count_one(metric, label_values, coalesce((
                SELECT min(bound) FROM unnest({BOUNDS_SEC}) bound WHERE sec <= bound
            ), 'Infinity'), greatest(sec, 0));
        END IF;
    END $$
"""  # noqa: S608 - a text of this file
BEGIN_STEP = f"""
    CREATE FUNCTION transcoder.begin_step() RETURNS trigger LANGUAGE plpgsql {PINNED} AS $$
    BEGIN
        NEW.step_at := clock_timestamp();
        RETURN NEW;
    END $$
"""
COUNT_JOB = f"""
    CREATE FUNCTION transcoder.count_job() RETURNS trigger LANGUAGE plpgsql {PINNED} AS $$
    BEGIN
        IF OLD.status = 'running' AND NEW.lease_token = OLD.lease_token
           AND NEW.step <> OLD.step THEN
            PERFORM observe('khronika_transcode_step_seconds', ARRAY[OLD.step],
                extract(epoch FROM NEW.step_at - OLD.step_at));
        END IF;
        IF NEW.status = 'running' AND NEW.lease_token <> OLD.lease_token THEN
            IF OLD.status = 'running' THEN
                PERFORM count_one('khronika_transcode_takeovers', '{{}}', 'Infinity', 0);
            ELSIF OLD.started_at IS NULL THEN
                PERFORM observe('khronika_transcode_wait_seconds', '{{}}',
                    extract(epoch FROM clock_timestamp() - OLD.created_at));
            END IF;
        END IF;
        IF NEW.status <> OLD.status AND NEW.status IN ('completed', 'failed', 'cancelled') THEN
            PERFORM count_one('khronika_transcode_jobs',
                ARRAY[NEW.status, coalesce(NEW.error ->> 'code', '')], 'Infinity', 0);
            PERFORM observe('khronika_transcode_work_seconds', ARRAY[NEW.status],
                extract(epoch FROM NEW.finished_at - NEW.started_at));
            PERFORM observe('khronika_transcode_media_seconds', '{{}}',
                (NEW.result ->> 'duration_sec')::double precision);
        END IF;
        RETURN NULL;
    END $$
"""
COUNT_CALLBACK = f"""
    CREATE FUNCTION transcoder.count_callback() RETURNS trigger LANGUAGE plpgsql {PINNED} AS $$
    BEGIN
        PERFORM count_one('khronika_transcode_callbacks', ARRAY[
            CASE WHEN NEW.delivered_at IS NULL THEN 'abandoned' ELSE 'delivered' END],
            'Infinity', 0);
        RETURN NULL;
    END $$
"""

FUNCTIONS = {
    "metric_shard()": SHARD,
    "count_one(text, text[], double precision, double precision)": COUNT,
    "observe(text, text[], double precision)": OBSERVE,
    "begin_step()": BEGIN_STEP,
    "count_job()": COUNT_JOB,
    "count_callback()": COUNT_CALLBACK,
}
# Trigger → (table, its event, its condition, the function).
TRIGGERS = {
    "jobs_begin_step": (
        "jobs",
        "BEFORE UPDATE OF step",
        "OLD.step IS DISTINCT FROM NEW.step",
        "begin_step",
    ),
    "jobs_count": (
        "jobs",
        "AFTER UPDATE OF status, step, lease_token",
        (
            "(OLD.status, OLD.step, OLD.lease_token)"
            " IS DISTINCT FROM (NEW.status, NEW.step, NEW.lease_token)"
        ),
        "count_job",
    ),
    "callbacks_count": (
        "callbacks",
        "AFTER UPDATE OF delivered_at, abandoned_at",
        (
            "OLD.delivered_at IS NULL AND OLD.abandoned_at IS NULL"
            " AND (NEW.delivered_at IS NOT NULL OR NEW.abandoned_at IS NOT NULL)"
        ),
        "count_callback",
    ),
}


def upgrade() -> None:
    op.execute("ALTER TABLE transcoder.jobs ADD COLUMN step_at timestamptz NOT NULL DEFAULT now()")
    op.execute("""
        CREATE TABLE transcoder.metric_counts (
            name text,
            labels text[],
            le double precision,
            shard integer,
            total bigint NOT NULL,
            seconds double precision NOT NULL,
            PRIMARY KEY (name, labels, le, shard)
        ) WITH (
            fillfactor = 50,
            autovacuum_vacuum_scale_factor = 0,
            autovacuum_vacuum_threshold = 2000
        )
    """)
    op.execute("ALTER TABLE transcoder.metric_counts ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE transcoder.metric_counts FORCE ROW LEVEL SECURITY")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON transcoder.metric_counts TO {ROLE}")
    op.execute(
        f"CREATE POLICY {ROLE}_serves ON transcoder.metric_counts FOR ALL TO {ROLE}"
        " USING (true) WITH CHECK (true)"
    )
    for signature, definition in FUNCTIONS.items():
        op.execute(definition)
        op.execute(f"REVOKE ALL ON FUNCTION transcoder.{signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION transcoder.{signature} TO {ROLE}")
    for name, (table, change, condition, function) in TRIGGERS.items():
        op.execute(
            f"CREATE TRIGGER {name} {change} ON transcoder.{table} FOR EACH ROW"
            f" WHEN ({condition}) EXECUTE FUNCTION transcoder.{function}()"
        )


def downgrade() -> None:
    for name, (table, *_) in TRIGGERS.items():
        op.execute(f"DROP TRIGGER {name} ON transcoder.{table}")
    for signature in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION transcoder.{signature}")
    op.execute("DROP TABLE transcoder.metric_counts")
    op.execute("ALTER TABLE transcoder.jobs DROP COLUMN step_at")
