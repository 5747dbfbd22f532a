"""The chronicle: events partitioned by month, which refuse UPDATE, DELETE and TRUNCATE."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE video_processing_events (
            asset_id uuid NOT NULL REFERENCES video_assets (id),
            seq bigint NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            type text NOT NULL,
            from_status video_processing_status,
            to_status video_processing_status,
            actor text NOT NULL,
            generation integer NOT NULL,
            attempt integer,
            provider text,
            provider_job_id text,
            provider_request_id text,
            provider_event_id text,
            detail jsonb NOT NULL DEFAULT '{}',
            PRIMARY KEY (asset_id, seq, created_at)
        ) PARTITION BY RANGE (created_at)
    """)
    op.execute("""
        CREATE TABLE video_processing_events_default
        PARTITION OF video_processing_events DEFAULT
    """)
    op.execute("""
        CREATE FUNCTION khronika_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
                USING ERRCODE = 'insufficient_privilege';
        END $$
    """)
    # The sweep makes partitions ahead of need. SECURITY DEFINER, because the worker is not the
    # owner. A month whose rows are already in the default partition stays there.
    op.execute("""
        CREATE FUNCTION khronika_make_event_partitions(months_ahead integer) RETURNS integer
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        DECLARE
            first_day date;
            name text;
            made integer := 0;
        BEGIN
            FOR ahead IN 0..least(months_ahead, 24) LOOP
                first_day := (date_trunc('month', now() AT TIME ZONE 'UTC')
                              + make_interval(months => ahead))::date;
                name := 'video_processing_events_' || to_char(first_day, 'YYYY_MM');
                CONTINUE WHEN to_regclass('public.' || name) IS NOT NULL;
                BEGIN
                    EXECUTE format(
                        'CREATE TABLE public.%I PARTITION OF public.video_processing_events
                         FOR VALUES FROM (%L) TO (%L)', name,
                        first_day::timestamp AT TIME ZONE 'UTC',
                        (first_day + interval '1 month') AT TIME ZONE 'UTC');
                EXCEPTION WHEN check_violation THEN
                    CONTINUE;
                END;
                EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', name);
                EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', name);
                EXECUTE format(
                    'CREATE TRIGGER video_processing_events_no_truncate
                     BEFORE UPDATE OR DELETE OR TRUNCATE ON public.%I
                     FOR EACH STATEMENT EXECUTE FUNCTION public.khronika_refuse_change()', name);
                made := made + 1;
            END LOOP;
            RETURN made;
        END $$
    """)
    op.execute("ALTER TABLE video_processing_events_default ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE video_processing_events_default FORCE ROW LEVEL SECURITY")
    op.execute("""
        CREATE TRIGGER video_processing_events_no_truncate
        BEFORE UPDATE OR DELETE OR TRUNCATE ON video_processing_events_default
        FOR EACH STATEMENT EXECUTE FUNCTION khronika_refuse_change()
    """)
    op.execute("SELECT khronika_make_event_partitions(3)")
    # Partitions inherit the row trigger. The statement trigger also stops a statement that matches
    # no row; it is not inherited, so partitions have their own.
    op.execute("""
        CREATE TRIGGER video_processing_events_append_only
        BEFORE UPDATE OR DELETE ON video_processing_events
        FOR EACH ROW EXECUTE FUNCTION khronika_refuse_change()
    """)
    op.execute("""
        CREATE TRIGGER video_processing_events_no_truncate
        BEFORE UPDATE OR DELETE OR TRUNCATE ON video_processing_events
        FOR EACH STATEMENT EXECUTE FUNCTION khronika_refuse_change()
    """)


def downgrade() -> None:
    op.execute("DROP TABLE video_processing_events")
    op.execute("DROP FUNCTION khronika_make_event_partitions(integer)")
    op.execute("DROP FUNCTION khronika_refuse_change()")
