"""Rights by name only: on the version table, on new partitions, and on the audit of the API.

``pipeline.runtime.migrate`` revokes rights of roles that are not ours after every run.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TRIGGERS = (
    "khronika_bound_secrets",
    "khronika_refuse_change",
    "khronika_refuse_strangers",
    "khronika_touch",
)

# A site's default privileges hold for partitions that are made later, too.
CLOSE = """
                FOR stranger IN
                    SELECT DISTINCT coalesce(quote_ident(r.rolname), 'PUBLIC')
                    FROM pg_class c CROSS JOIN aclexplode(c.relacl) x
                    LEFT JOIN pg_roles r ON r.oid = x.grantee
                    WHERE c.oid = to_regclass('public.' || name) AND x.grantee <> c.relowner
                LOOP
                    EXECUTE format('REVOKE ALL ON public.%I FROM %s CASCADE', name, stranger);
                END LOOP;
"""


def _make_partitions(close: str) -> str:
    return f"""
        CREATE OR REPLACE FUNCTION khronika_make_event_partitions(months_ahead integer)
        RETURNS integer
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        DECLARE
            first_day date;
            name text;
            stranger text;
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
                {close}
                made := made + 1;
            END LOOP;
            RETURN made;
        END $$
    """  # noqa: S608 - a text of this file


def _allow_audits(check: str) -> None:
    op.execute("DROP POLICY khronika_api_records ON audit_events")
    op.execute(
        f"CREATE POLICY khronika_api_records ON audit_events FOR INSERT TO khronika_api"
        f" WITH CHECK ({check})"
    )


def upgrade() -> None:
    # Not forced: the owner, who migrates, writes it.
    op.execute("ALTER TABLE alembic_version ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY khronika_api_reads ON alembic_version"
        " FOR SELECT TO khronika_api USING (true)"
    )
    # PostgreSQL lets everybody execute a new function. A trigger needs no such right.
    for function in TRIGGERS:
        op.execute(f"REVOKE ALL ON FUNCTION {function}() FROM PUBLIC")
    op.execute(_make_partitions(CLOSE))
    # Operators act with their own login; with the API's, only callbacks are audited.
    _allow_audits(
        "actor = 'provider:' || provider AND type IN ('callback_rejected', 'callback_conflict')"
    )


def downgrade() -> None:
    _allow_audits("true")
    op.execute(_make_partitions(""))
    for function in TRIGGERS:
        op.execute(f"GRANT EXECUTE ON FUNCTION {function}() TO PUBLIC")
    op.execute("DROP POLICY khronika_api_reads ON alembic_version")
    op.execute("ALTER TABLE alembic_version DISABLE ROW LEVEL SECURITY")
