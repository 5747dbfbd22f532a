"""Keep a digest of a source's address, and of ended jobs no query that may open the source."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("""
        UPDATE transcoder.jobs SET request = request || jsonb_build_object('source_sha256',
            encode(sha256(convert_to(coalesce(request->>'source_url', ''), 'UTF8')), 'hex'))
    """)
    op.execute("""
        UPDATE transcoder.jobs SET request = jsonb_set(request, '{source_url}',
            to_jsonb(regexp_replace(request->>'source_url', '[?#].*$', '')))
        WHERE request->>'source_url' IS NOT NULL
          AND status IN ('completed', 'failed', 'cancelled')
    """)


def downgrade() -> None:
    # A query that was forgotten does not come back: of ended jobs it is not needed.
    op.execute("UPDATE transcoder.jobs SET request = request - 'source_sha256'")
