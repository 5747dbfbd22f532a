"""Jobs, their callbacks, and the one login that may use them.

The role belongs to the whole server, so it is made if absent and never dropped.
"""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE transcoder.jobs (
            id uuid CONSTRAINT jobs_pkey PRIMARY KEY,
            request jsonb NOT NULL,
            request_id text NOT NULL,
            status text NOT NULL CONSTRAINT jobs_status_known
                CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
            step text NOT NULL,
            progress double precision NOT NULL DEFAULT 0
                CONSTRAINT jobs_progress_is_a_percentage CHECK (progress BETWEEN 0 AND 100),
            result jsonb,
            error jsonb,
            claims integer NOT NULL DEFAULT 0,
            lease_token bigint NOT NULL DEFAULT 0,
            lease_expires_at timestamptz,
            cleanup_owed boolean NOT NULL DEFAULT false,
            created_at timestamptz NOT NULL DEFAULT now(),
            started_at timestamptz,
            finished_at timestamptz,
            CONSTRAINT jobs_completed_has_result
                CHECK (status <> 'completed' OR result IS NOT NULL),
            CONSTRAINT jobs_failed_has_error CHECK (status <> 'failed' OR error IS NOT NULL)
        )
        """
    )
    # One partial index for each question the sweep asks.
    op.execute("CREATE INDEX jobs_queued ON transcoder.jobs (created_at) WHERE status = 'queued'")
    op.execute(
        "CREATE INDEX jobs_leased ON transcoder.jobs (lease_expires_at) WHERE status = 'running'"
    )
    op.execute("CREATE INDEX jobs_cleanup ON transcoder.jobs (finished_at) WHERE cleanup_owed")
    op.execute(
        """
        CREATE TABLE transcoder.callbacks (
            id uuid CONSTRAINT callbacks_pkey PRIMARY KEY,
            job_id uuid NOT NULL
                CONSTRAINT callbacks_job_id_fkey REFERENCES transcoder.jobs (id),
            body bytea NOT NULL,
            request_id text NOT NULL,
            tries integer NOT NULL DEFAULT 0,
            next_try_at timestamptz NOT NULL DEFAULT now(),
            created_at timestamptz NOT NULL DEFAULT now(),
            delivered_at timestamptz,
            abandoned_at timestamptz
        )
        """
    )
    op.execute(
        "CREATE INDEX callbacks_due ON transcoder.callbacks (next_try_at)"
        " WHERE delivered_at IS NULL AND abandoned_at IS NULL"
    )
    op.execute(
        """
        DO $$ BEGIN
            CREATE ROLE khronika_transcoder LOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END $$
        """
    )
    op.execute("GRANT USAGE ON SCHEMA transcoder TO khronika_transcoder")
    op.execute(
        "GRANT SELECT, INSERT, UPDATE ON transcoder.jobs, transcoder.callbacks"
        " TO khronika_transcoder"
    )


def downgrade() -> None:
    op.execute("DROP TABLE transcoder.callbacks")
    op.execute("DROP TABLE transcoder.jobs")
    op.execute("REVOKE USAGE ON SCHEMA transcoder FROM khronika_transcoder")
