"""The rollout: the share of the owners that may register videos, and a list of owners that may.

It begins at 100 %, so that nothing changes until an operator takes it back.
"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

VIEWER = "khronika_viewer"
OPERATOR = "khronika_operator"
TABLES = {"rollout": "SELECT, UPDATE", "rollout_owners": "SELECT, INSERT, DELETE"}
FUNCTION = "khronika_enrolled(text)"
CALLERS = ("khronika_api", OPERATOR)


def upgrade() -> None:
    op.execute("""
        CREATE TABLE rollout (
            id boolean CONSTRAINT rollout_pkey PRIMARY KEY DEFAULT true
                CONSTRAINT rollout_one_row CHECK (id),
            percent smallint NOT NULL DEFAULT 100
                CONSTRAINT rollout_share CHECK (percent BETWEEN 0 AND 100),
            since timestamptz NOT NULL DEFAULT now(),
            counted jsonb NOT NULL DEFAULT '{}',
            drilled_at timestamptz,
            drilled_files integer,
            drilled_broken integer
        )
    """)
    op.execute("INSERT INTO rollout DEFAULT VALUES")
    op.execute("""
        CREATE TABLE rollout_owners (
            owner_id text CONSTRAINT rollout_owners_pkey PRIMARY KEY
                CONSTRAINT rollout_owners_length CHECK (length(owner_id) BETWEEN 1 AND 128),
            added_by text NOT NULL,
            added_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    for table, rights in TABLES.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY {OPERATOR}_operator ON {table} FOR ALL TO {OPERATOR}"
            " USING (true) WITH CHECK (true)"
        )
        op.execute(f"CREATE POLICY {VIEWER}_reads ON {table} FOR SELECT TO {VIEWER} USING (true)")
        op.execute(f"GRANT {rights} ON {table} TO {OPERATOR}")
    op.execute(f"GRANT SELECT (percent) ON rollout TO {VIEWER}")
    op.execute(f"GRANT SELECT (owner_id) ON rollout_owners TO {VIEWER}")
    _make_function()


def _make_function() -> None:
    """Make the decision about one owner.

    The 28 leading bits of a hash place each owner at a fixed point of the scale: whoever belongs to
    a share belongs to each greater one. The words before the owner's id keep the places apart from
    those of other such scales.
    """
    op.execute("""
        CREATE FUNCTION khronika_enrolled(owner text) RETURNS boolean
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
            SELECT percent >= 100
                OR CAST(CAST('x' || left(md5('rollout of ' || owner), 7) AS bit(28)) AS integer)
                    < percent / 100.0 * 268435456
                OR EXISTS (SELECT FROM public.rollout_owners o WHERE o.owner_id = owner)
            FROM public.rollout
        $$
    """)
    op.execute(f"GRANT {VIEWER} TO CURRENT_USER")
    op.execute(f"GRANT CREATE ON SCHEMA public TO {VIEWER}")
    op.execute(f"ALTER FUNCTION {FUNCTION} OWNER TO {VIEWER}")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {VIEWER}")
    op.execute(f"REVOKE ALL ON FUNCTION {FUNCTION} FROM PUBLIC")
    for caller in CALLERS:
        op.execute(f"GRANT EXECUTE ON FUNCTION {FUNCTION} TO {caller}")


def downgrade() -> None:
    op.execute(f"DROP FUNCTION {FUNCTION}")
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
