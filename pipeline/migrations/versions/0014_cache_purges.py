"""Purges that are owed: copies of a video outside of its rows that must go, in a CDN or in storage.

A trigger owes one in the transaction of the change itself, whoever makes the change. Another one
withdraws the outputs of a video that is cancelled while it is processed.
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLE = "cache_purges"
VIEWER = "khronika_viewer"
PARTS = ("khronika_worker", "khronika_operator")
PUBLISHED = (
    *("published_output_id", "manifest_url", "fallback_url", "poster_url", "thumbnail_url"),
    *("storyboard_url", "playable_at"),
)
WITHDRAW = "khronika_withdraw_cancelled"
OWE = "khronika_owe_purge"

# Outputs of an earlier generation stay: the cancelled re-encode had not replaced them.
WITHDRAWAL = f"""
    BEGIN
        IF EXISTS (SELECT FROM public.video_outputs o
                   WHERE o.id = OLD.published_output_id AND o.generation = OLD.generation) THEN
            {" ".join(f"NEW.{column} := NULL;" for column in PUBLISHED)}
        END IF;
        RETURN NEW;
    END
"""
DEBT = f"""
    BEGIN
        INSERT INTO public.{TABLE} (asset_id, reason) VALUES (NEW.id, CASE
            WHEN NEW.deleted_at IS NOT NULL AND OLD.deleted_at IS NULL THEN 'deleted'
            WHEN NEW.published_output_id IS NULL THEN 'cancelled'
            WHEN NEW.playback IS DISTINCT FROM OLD.playback THEN 'signed'
            ELSE 'replaced' END);
        RETURN NULL;
    END
"""  # noqa: S608 - names of this file


def _make_trigger_function(name: str, body: str) -> None:
    op.execute(f"""
        CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, public, pg_temp AS $$ {body} $$
    """)
    op.execute(f"ALTER FUNCTION {name}() OWNER TO {VIEWER}")
    op.execute(f"REVOKE ALL ON FUNCTION {name}() FROM PUBLIC")


def upgrade() -> None:
    op.execute(f"""
        CREATE TABLE {TABLE} (
            id uuid CONSTRAINT {TABLE}_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
            asset_id uuid NOT NULL
                CONSTRAINT {TABLE}_asset REFERENCES video_assets ON DELETE CASCADE,
            reason text NOT NULL CONSTRAINT {TABLE}_reason
                CHECK (reason IN ('deleted', 'cancelled', 'signed', 'replaced')),
            tries integer NOT NULL DEFAULT 0,
            error text,
            created_at timestamptz NOT NULL DEFAULT now(),
            next_try_at timestamptz DEFAULT now(),
            done_at timestamptz,
            CONSTRAINT {TABLE}_owed CHECK ((next_try_at IS NULL) = (done_at IS NOT NULL))
        )
    """)
    op.execute(f"CREATE INDEX {TABLE}_due ON {TABLE} (next_try_at) WHERE done_at IS NULL")
    op.execute(f"CREATE INDEX {TABLE}_of_asset ON {TABLE} (asset_id) WHERE done_at IS NULL")
    op.execute(f"CREATE INDEX {TABLE}_done ON {TABLE} (done_at) WHERE done_at IS NOT NULL")
    op.execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {TABLE} FORCE ROW LEVEL SECURITY")
    for role in PARTS:
        part = role.removeprefix("khronika_")
        op.execute(
            f"CREATE POLICY {role}_{part} ON {TABLE} FOR ALL TO {role}"
            " USING (true) WITH CHECK (true)"
        )
    op.execute(f"CREATE POLICY {VIEWER}_owes ON {TABLE} FOR INSERT TO {VIEWER} WITH CHECK (true)")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {TABLE} TO khronika_worker")
    op.execute(f"GRANT SELECT ON {TABLE} TO khronika_operator")
    op.execute(f"GRANT INSERT (asset_id, reason) ON {TABLE} TO {VIEWER}")
    op.execute(f"GRANT SELECT (generation) ON video_outputs TO {VIEWER}")
    op.execute(f"GRANT {VIEWER} TO CURRENT_USER")
    op.execute(f"GRANT CREATE ON SCHEMA public TO {VIEWER}")
    _make_trigger_function(WITHDRAW, WITHDRAWAL)
    _make_trigger_function(OWE, DEBT)
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {VIEWER}")
    op.execute(f"""
        CREATE TRIGGER video_assets_withdraw_cancelled BEFORE UPDATE ON video_assets FOR EACH ROW
        WHEN (NEW.error_code = 'cancelled' AND OLD.error_code IS DISTINCT FROM 'cancelled'
              AND OLD.published_output_id IS NOT NULL)
        EXECUTE FUNCTION {WITHDRAW}()
    """)
    op.execute(f"""
        CREATE TRIGGER video_assets_owe_purge AFTER UPDATE ON video_assets FOR EACH ROW
        WHEN ((NEW.deleted_at IS NOT NULL AND OLD.deleted_at IS NULL)
              OR (OLD.playback = 'public' AND NEW.playback <> 'public')
              OR (OLD.published_output_id IS NOT NULL
                  AND OLD.published_output_id IS DISTINCT FROM NEW.published_output_id))
        EXECUTE FUNCTION {OWE}()
    """)


def downgrade() -> None:
    op.execute("DROP TRIGGER video_assets_owe_purge ON video_assets")
    op.execute("DROP TRIGGER video_assets_withdraw_cancelled ON video_assets")
    op.execute(f"DROP FUNCTION {OWE}()")
    op.execute(f"DROP FUNCTION {WITHDRAW}()")
    op.execute(f"REVOKE SELECT (generation) ON video_outputs FROM {VIEWER}")  # noqa: S608
    op.execute(f"DROP TABLE {TABLE}")
