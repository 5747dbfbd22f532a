"""Counters that triggers keep in the transaction of the change that they count.

``khronika_meter`` is nobody's login. It owns the functions and may write ``metric_counts`` only; no
login of ours can. A transaction counts in a shard that it has to itself until it ends, so that two
never wait for each other's counts.
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

METER = "khronika_meter"
PINNED = "SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp"

STAGE_BOUNDS_SEC = "ARRAY[0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 10800, 21600]"
READY_BOUNDS_SEC = "ARRAY[5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 21600, 86400]"
CALL_BOUNDS_SEC = "ARRAY[0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20]"

# The number 21 is the migration's: it keeps these advisory locks apart from others. The setting
# lasts as long as the lock, also where a savepoint is rolled back. At most as many shards are tried
# as there are connections.
SHARD = """
    CREATE FUNCTION khronika_metric_shard() RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        shard integer := nullif(current_setting('khronika.metric_shard', true), '')::integer;
    BEGIN
        IF shard IS NOT NULL THEN
            RETURN shard;
        END IF;
        shard := 0;
        WHILE NOT pg_try_advisory_xact_lock(21, shard) LOOP
            shard := shard + 1;
        END LOOP;
        PERFORM set_config('khronika.metric_shard', shard::text, true);
        RETURN shard;
    END $$
"""
ADD = """
    CREATE FUNCTION khronika_add(
        metric text, label_values text[], bound double precision, amount bigint,
        sec double precision
    ) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        INSERT INTO public.metric_counts AS kept (name, labels, le, shard, total, seconds)
        VALUES (metric, label_values, bound, public.khronika_metric_shard(), amount, sec)
        ON CONFLICT (name, labels, le, shard) DO UPDATE
        SET total = kept.total + excluded.total, seconds = kept.seconds + excluded.seconds;
    END $$
"""
COUNT = """
    CREATE FUNCTION khronika_count(metric text, label_values text[], amount bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        PERFORM public.khronika_add(metric, label_values, 'Infinity', amount, 0);
    END $$
"""
OBSERVE = """
    CREATE FUNCTION khronika_observe(
        metric text, label_values text[], bounds double precision[], took interval
    ) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        sec double precision := greatest(extract(epoch FROM took), 0);
    BEGIN
        IF took IS NOT NULL THEN
            PERFORM public.khronika_add(metric, label_values, coalesce(
                (SELECT min(bound) FROM unnest(bounds) bound WHERE sec <= bound), 'Infinity'),
                1, sec);
        END IF;
    END $$
"""
SHIFT = """
    CREATE FUNCTION khronika_shift(metric text, was text, present text) RETURNS void
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        IF was IS NOT DISTINCT FROM present THEN
            RETURN;
        END IF;
        IF was IS NOT NULL THEN
            PERFORM public.khronika_count(metric, ARRAY[was], -1);
        END IF;
        IF present IS NOT NULL THEN
            PERFORM public.khronika_count(metric, ARRAY[present], 1);
        END IF;
    END $$
"""
# OLD is null for an INSERT, NEW for a DELETE. A deleted asset is in no state.
COUNT_ASSET = f"""
    CREATE FUNCTION khronika_count_asset() RETURNS trigger LANGUAGE plpgsql {PINNED} AS $$
    DECLARE
        was text := CASE WHEN OLD.deleted_at IS NULL THEN OLD.status::text END;
        present text := CASE WHEN NEW.deleted_at IS NULL THEN NEW.status::text END;
    BEGIN
        PERFORM khronika_shift('khronika_assets', was, present);
        PERFORM khronika_shift('khronika_failures',
            CASE WHEN was = 'failed' THEN coalesce(OLD.error_code, '') END,
            CASE WHEN present = 'failed' THEN coalesce(NEW.error_code, '') END);
        PERFORM khronika_shift('khronika_held_assets',
            CASE WHEN was IN ('queued', 'retrying') THEN OLD.hold_reason END,
            CASE WHEN present IN ('queued', 'retrying') THEN NEW.hold_reason END);
        PERFORM khronika_shift('khronika_provider_jobs',
            CASE WHEN was = 'processing' THEN OLD.provider END,
            CASE WHEN present = 'processing' THEN NEW.provider END);
        IF TG_OP = 'UPDATE' THEN
            PERFORM khronika_count_edge(OLD, NEW);
        END IF;
        RETURN NULL;
    END $$
"""
COUNT_EDGE = f"""
    CREATE FUNCTION khronika_count_edge(was video_assets, present video_assets) RETURNS void
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        IF was.playable_at IS NULL THEN
            PERFORM public.khronika_observe('khronika_time_to_playable_seconds', '{{}}',
                {READY_BOUNDS_SEC}, present.playable_at - present.created_at);
        END IF;
        IF was.status = present.status THEN
            RETURN;
        END IF;
        IF present.status = 'processing' THEN
            PERFORM public.khronika_observe('khronika_queue_wait_seconds', '{{}}',
                {READY_BOUNDS_SEC}, clock_timestamp() - was.next_attempt_at);
        ELSIF present.status IN ('completed', 'failed') THEN
            PERFORM public.khronika_count('khronika_assets_ended',
                ARRAY[present.status::text, coalesce(present.error_code, '')], 1);
        END IF;
        IF present.status = 'completed' AND present.generation = 1 THEN
            PERFORM public.khronika_observe('khronika_time_to_ready_seconds', '{{}}',
                {READY_BOUNDS_SEC}, present.completed_at - present.created_at);
        END IF;
    END $$
"""
COUNT_EVENT = f"""
    CREATE FUNCTION khronika_count_event() RETURNS trigger LANGUAGE plpgsql {PINNED} AS $$
    BEGIN
        PERFORM khronika_count('khronika_events',
            ARRAY[NEW.type, coalesce(NEW.provider, '')], 1);
        RETURN NULL;
    END $$
"""
COUNT_ATTEMPT = f"""
    CREATE FUNCTION khronika_count_attempt() RETURNS trigger LANGUAGE plpgsql {PINNED} AS $$
    BEGIN
        PERFORM khronika_count('khronika_attempts',
            ARRAY[NEW.provider, NEW.outcome, coalesce(NEW.error_code, '')], 1);
        IF OLD.outcome IS NULL THEN
            PERFORM khronika_observe('khronika_stage_duration_seconds',
                ARRAY[stage, NEW.provider, NEW.outcome], {STAGE_BOUNDS_SEC}, ended_at - began_at)
            FROM (VALUES
                ('prepare', NEW.created_at, coalesce(NEW.intended_at, clock_timestamp())),
                ('submit', NEW.intended_at, coalesce(NEW.submitted_at, clock_timestamp())),
                ('process', NEW.submitted_at, clock_timestamp())
            ) AS stages (stage, began_at, ended_at);
        END IF;
        RETURN NULL;
    END $$
"""
COUNT_CALLBACK = f"""
    CREATE FUNCTION khronika_count_callback() RETURNS trigger LANGUAGE plpgsql {PINNED} AS $$
    BEGIN
        PERFORM khronika_count('khronika_callbacks', ARRAY[NEW.provider, CASE
            WHEN TG_OP = 'UPDATE' THEN NEW.status
            WHEN NEW.status = 'new' THEN 'stored' ELSE 'unreadable' END], 1);
        IF TG_OP = 'UPDATE' THEN
            PERFORM khronika_observe('khronika_callback_lag_seconds', ARRAY[NEW.provider],
                {STAGE_BOUNDS_SEC}, clock_timestamp() - NEW.received_at);
        END IF;
        RETURN NULL;
    END $$
"""
NOTE_CALL = f"""
    CREATE FUNCTION khronika_note_call(
        account text, call text, result text, sec double precision
    ) RETURNS void LANGUAGE plpgsql VOLATILE {PINNED} AS $$
    BEGIN
        PERFORM khronika_count('khronika_provider_calls', ARRAY[account, call, result], 1);
        PERFORM khronika_observe('khronika_provider_call_seconds', ARRAY[account, call],
            {CALL_BOUNDS_SEC}, make_interval(secs => sec));
    END $$
"""

# Signature → (definition, the roles that may call it).
FUNCTIONS = {
    "khronika_metric_shard()": (SHARD, ()),
    "khronika_add(text, text[], double precision, bigint, double precision)": (ADD, ()),
    "khronika_count(text, text[], bigint)": (COUNT, ()),
    "khronika_observe(text, text[], double precision[], interval)": (OBSERVE, ()),
    "khronika_shift(text, text, text)": (SHIFT, ()),
    "khronika_count_edge(video_assets, video_assets)": (COUNT_EDGE, ()),
    "khronika_count_asset()": (COUNT_ASSET, ()),
    "khronika_count_event()": (COUNT_EVENT, ()),
    "khronika_count_attempt()": (COUNT_ATTEMPT, ()),
    "khronika_count_callback()": (COUNT_CALLBACK, ()),
    "khronika_note_call(text, text, text, double precision)": (NOTE_CALL, ("khronika_worker",)),
}

WATCHED = ("status", "deleted_at", "error_code", "hold_reason", "playable_at", "provider")
OLD, NEW = (", ".join(f"{row}.{name}" for name in WATCHED) for row in ("OLD", "NEW"))
# Trigger → (table, its event, its condition, the function).
TRIGGERS = {
    "video_assets_count_new": ("video_assets", "INSERT", "true", "khronika_count_asset"),
    "video_assets_count_removed": ("video_assets", "DELETE", "true", "khronika_count_asset"),
    "video_assets_count_changed": (
        "video_assets",
        f"UPDATE OF {', '.join(WATCHED)}",
        f"({OLD}) IS DISTINCT FROM ({NEW})",
        "khronika_count_asset",
    ),
    "video_processing_events_count": (
        "video_processing_events",
        "INSERT",
        "true",
        "khronika_count_event",
    ),
    "provider_attempts_count": (
        "provider_attempts",
        "UPDATE OF outcome",
        "NEW.outcome IS NOT NULL AND OLD.outcome IS DISTINCT FROM NEW.outcome",
        "khronika_count_attempt",
    ),
    "webhook_deliveries_count_new": (
        "webhook_deliveries",
        "INSERT",
        "true",
        "khronika_count_callback",
    ),
    "webhook_deliveries_count_settled": (
        "webhook_deliveries",
        "UPDATE OF status",
        "OLD.status IS DISTINCT FROM NEW.status",
        "khronika_count_callback",
    ),
}


def upgrade() -> None:
    _make_meter()
    _make_table()
    _make_functions()
    for name, (table, change, condition, function) in TRIGGERS.items():
        op.execute(
            f"CREATE TRIGGER {name} AFTER {change} ON {table} FOR EACH ROW WHEN ({condition})"
            f" EXECUTE FUNCTION {function}()"
        )
    _count_present()


def _make_meter() -> None:
    op.execute(f"""
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{METER}') THEN
                CREATE ROLE {METER} NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END $$
    """)
    op.execute(f"GRANT {METER} TO CURRENT_USER")
    op.execute(f"GRANT USAGE ON SCHEMA public TO {METER}")


def _make_table() -> None:
    # The rows are few and change often: room in each page, and a vacuum after few changes.
    op.execute("""
        CREATE TABLE metric_counts (
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
    op.execute("ALTER TABLE metric_counts ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE metric_counts FORCE ROW LEVEL SECURITY")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON metric_counts TO {METER}")
    op.execute("GRANT SELECT ON metric_counts TO khronika_operator")
    op.execute(
        f"CREATE POLICY {METER}_counts ON metric_counts FOR ALL TO {METER}"
        " USING (true) WITH CHECK (true)"
    )
    op.execute(
        "CREATE POLICY khronika_operator_reads ON metric_counts FOR SELECT TO khronika_operator"
        " USING (true)"
    )


def _make_functions() -> None:
    op.execute(f"GRANT CREATE ON SCHEMA public TO {METER}")
    for signature, (definition, callers) in FUNCTIONS.items():
        op.execute(definition)
        op.execute(f"ALTER FUNCTION {signature} OWNER TO {METER}")
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        for caller in callers:
            op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {caller}")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {METER}")


def _count_present() -> None:
    """Count the states of the assets that there are; the triggers' locks keep writers away."""
    states = {
        "khronika_assets": ("status::text", "true"),
        "khronika_failures": ("coalesce(error_code, '')", "status = 'failed'"),
        "khronika_held_assets": (
            "hold_reason",
            "status IN ('queued', 'retrying') AND hold_reason IS NOT NULL",
        ),
        "khronika_provider_jobs": ("provider", "status = 'processing'"),
    }
    # The owner of the table is not above its policies.
    op.execute("ALTER TABLE video_assets NO FORCE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE metric_counts NO FORCE ROW LEVEL SECURITY")
    for name, (value, condition) in states.items():
        op.execute(f"""
            INSERT INTO metric_counts (name, labels, le, shard, total, seconds)
            SELECT '{name}', ARRAY[{value}], 'Infinity', 0, count(*), 0 FROM video_assets
            WHERE deleted_at IS NULL AND {condition} GROUP BY 2
        """)  # noqa: S608 - texts of this file
    op.execute("ALTER TABLE metric_counts FORCE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE video_assets FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    for name, (table, *_) in TRIGGERS.items():
        op.execute(f"DROP TRIGGER {name} ON {table}")
    for signature in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {signature}")
    op.execute("DROP TABLE metric_counts")
    op.execute(f"REVOKE ALL ON SCHEMA public FROM {METER}")
