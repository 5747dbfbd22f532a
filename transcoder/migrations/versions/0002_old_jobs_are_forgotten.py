"""Let the service delete jobs that ended long ago; their callbacks go with them."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("GRANT DELETE ON transcoder.jobs TO khronika_transcoder")
    op.execute(
        "CREATE INDEX jobs_finished ON transcoder.jobs (finished_at) WHERE finished_at IS NOT NULL"
    )
    op.execute("CREATE INDEX callbacks_job_id ON transcoder.callbacks (job_id)")
    _refer_to_jobs(on_delete="CASCADE")


def downgrade() -> None:
    _refer_to_jobs(on_delete="NO ACTION")
    op.execute("DROP INDEX transcoder.callbacks_job_id")
    op.execute("DROP INDEX transcoder.jobs_finished")
    op.execute("REVOKE DELETE ON transcoder.jobs FROM khronika_transcoder")


def _refer_to_jobs(*, on_delete: str) -> None:
    op.execute(
        "ALTER TABLE transcoder.callbacks DROP CONSTRAINT callbacks_job_id_fkey,"
        " ADD CONSTRAINT callbacks_job_id_fkey FOREIGN KEY (job_id)"
        f" REFERENCES transcoder.jobs (id) ON DELETE {on_delete}"
    )
