"""Tables of assets, attempts, outputs, inbox, uploads, keys, secrets, usage, spending, audit."""

from alembic import op

revision = "0002"
down_revision = "0001"

TABLES = (
    "video_assets",
    "provider_attempts",
    "video_outputs",
    "webhook_deliveries",
    "uploads",
    "upload_parts",
    "idempotency_keys",
    "owner_usage",
    "provider_spend",
    "provider_breakers",
    "provider_secrets",
    "api_keys",
    "audit_events",
)


def upgrade() -> None:
    op.execute("""
        CREATE TABLE video_assets (
            id uuid PRIMARY KEY,
            post_id uuid NOT NULL,
            owner_id text NOT NULL
                CONSTRAINT video_assets_owner_id_length CHECK (length(owner_id) BETWEEN 1 AND 128),
            source_url text,
            upload_id uuid,
            source_size_bytes bigint,
            source_etag text,
            source_info jsonb,
            declared jsonb NOT NULL DEFAULT '{}',
            title text,
            poster_time_sec double precision,
            playback text NOT NULL DEFAULT 'public'
                CONSTRAINT video_assets_playback CHECK (playback IN ('public', 'signed')),
            allow_original boolean NOT NULL DEFAULT false,
            charged_bytes bigint,
            charged_sec double precision,
            status video_processing_status NOT NULL DEFAULT 'queued',
            generation integer NOT NULL DEFAULT 1,
            attempt integer NOT NULL DEFAULT 0,
            attempt_id uuid,
            failures integer NOT NULL DEFAULT 0,
            max_attempts integer NOT NULL,
            claims integer NOT NULL DEFAULT 0,
            provider text NOT NULL,
            provider_job_id text,
            published_output_id uuid,
            manifest_url text,
            fallback_url text,
            poster_url text,
            thumbnail_url text,
            storyboard_url text,
            duration_sec double precision,
            width integer,
            height integer,
            progress double precision
                CONSTRAINT video_assets_progress_percent CHECK (progress BETWEEN 0 AND 100),
            progress_at timestamptz,
            error_code text,
            error_message text,
            hold_reason text,
            next_attempt_at timestamptz,
            woken_at timestamptz,
            next_poll_at timestamptz,
            deadline_at timestamptz,
            lease_token bigint NOT NULL DEFAULT 0,
            lease_expires_at timestamptz,
            last_seq bigint NOT NULL DEFAULT 0,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            playable_at timestamptz,
            completed_at timestamptz,
            deleted_at timestamptz,
            purged_at timestamptz,
            CONSTRAINT video_assets_has_source CHECK (num_nonnulls(source_url, upload_id) = 1),
            CONSTRAINT video_assets_failed_says_why
                CHECK (status <> 'failed' OR error_code IS NOT NULL),
            CONSTRAINT video_assets_live_has_deadline CHECK (
                status IN ('completed', 'failed') OR deleted_at IS NOT NULL
                OR deadline_at IS NOT NULL),
            CONSTRAINT video_assets_completed_is_published
                CHECK (status <> 'completed' OR published_output_id IS NOT NULL)
        ) WITH (fillfactor = 80)
    """)
    op.execute("""
        CREATE TABLE provider_attempts (
            id uuid PRIMARY KEY,
            asset_id uuid NOT NULL REFERENCES video_assets (id),
            generation integer NOT NULL,
            number integer NOT NULL,
            provider text NOT NULL,
            provider_job_id text,
            provider_request_id text,
            created_at timestamptz NOT NULL DEFAULT now(),
            reserved_sec double precision,
            intended_at timestamptz,
            absent_at timestamptz,
            submitted_at timestamptz,
            outcome text,
            error_code text,
            error_message text,
            release_requested_at timestamptz,
            released_at timestamptz,
            purge_at timestamptz,
            purged_at timestamptz
        )
    """)
    op.execute("""
        CREATE TABLE video_outputs (
            id uuid PRIMARY KEY,
            asset_id uuid NOT NULL REFERENCES video_assets (id),
            generation integer NOT NULL,
            attempt_id uuid NOT NULL REFERENCES provider_attempts (id),
            manifest_url text NOT NULL,
            fallback_url text NOT NULL,
            poster_url text NOT NULL,
            thumbnail_url text NOT NULL,
            storyboard_url text,
            renditions jsonb NOT NULL,
            duration_sec double precision NOT NULL,
            width integer NOT NULL,
            height integer NOT NULL,
            size_bytes bigint,
            verified_at timestamptz NOT NULL DEFAULT now(),
            published_at timestamptz,
            retired_at timestamptz,
            removed_at timestamptz
        )
    """)
    op.execute("""
        CREATE TABLE webhook_deliveries (
            id uuid PRIMARY KEY,
            provider text NOT NULL,
            event_id text NOT NULL,
            headers jsonb NOT NULL,
            body bytea NOT NULL,
            body_sha256 text NOT NULL,
            status text NOT NULL DEFAULT 'new'
                CONSTRAINT webhook_deliveries_status
                CHECK (status IN ('new', 'applied', 'ignored', 'dead')),
            reason text,
            tries integer NOT NULL DEFAULT 0,
            next_try_at timestamptz,
            received_at timestamptz NOT NULL DEFAULT now(),
            settled_at timestamptz,
            asset_id uuid,
            CONSTRAINT webhook_deliveries_event UNIQUE (provider, event_id)
        )
    """)
    op.execute("""
        CREATE TABLE uploads (
            id uuid PRIMARY KEY,
            owner_id text NOT NULL
                CONSTRAINT uploads_owner_id_length CHECK (length(owner_id) BETWEEN 1 AND 128),
            post_id uuid NOT NULL,
            filename text NOT NULL,
            mime_type text NOT NULL,
            size_bytes bigint NOT NULL,
            storage_key text NOT NULL,
            storage_upload_id text,
            part_size_bytes bigint
                CONSTRAINT uploads_part_size CHECK (part_size_bytes > 0),
            received_bytes bigint,
            source_info jsonb,
            created_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz NOT NULL,
            completed_at timestamptz,
            claimed_at timestamptz
        )
    """)
    op.execute("""
        CREATE TABLE upload_parts (
            upload_id uuid NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
            number integer NOT NULL CONSTRAINT upload_parts_number CHECK (number >= 1),
            size_bytes bigint NOT NULL,
            etag text NOT NULL,
            received_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (upload_id, number)
        )
    """)
    op.execute("""
        CREATE TABLE idempotency_keys (
            owner_id text NOT NULL,
            route text NOT NULL,
            key text NOT NULL,
            request_sha256 text NOT NULL,
            status_code integer,
            response jsonb,
            created_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz NOT NULL,
            PRIMARY KEY (owner_id, route, key)
        )
    """)
    # Videos, bytes and seconds that an owner registered on one day (UTC), for the daily quotas.
    op.execute("""
        CREATE TABLE owner_usage (
            owner_id text NOT NULL,
            day date NOT NULL,
            assets bigint NOT NULL DEFAULT 0,
            bytes bigint NOT NULL DEFAULT 0,
            media_sec double precision NOT NULL DEFAULT 0,
            PRIMARY KEY (owner_id, day)
        )
    """)
    # Videos and seconds given to an account in one clock hour; the spend guard reserves here.
    op.execute("""
        CREATE TABLE provider_spend (
            provider text NOT NULL,
            hour timestamptz NOT NULL,
            assets bigint NOT NULL DEFAULT 0,
            media_sec double precision NOT NULL DEFAULT 0,
            PRIMARY KEY (provider, hour)
        )
    """)
    # Circuit breakers of the accounts: the time of opening and the time of the next probe.
    op.execute("""
        CREATE TABLE provider_breakers (
            provider text PRIMARY KEY,
            failures integer NOT NULL DEFAULT 0,
            opened_at timestamptz,
            probe_at timestamptz,
            is_probing boolean NOT NULL DEFAULT false,
            CONSTRAINT provider_breakers_open_until
                CHECK ((opened_at IS NULL) = (probe_at IS NULL))
        )
    """)
    # Encrypted secrets that verify callbacks; a secret is active until it retires.
    op.execute("""
        CREATE TABLE provider_secrets (
            id uuid PRIMARY KEY,
            provider text NOT NULL,
            secret bytea NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            retires_at timestamptz
        )
    """)
    # The lock keeps two concurrent writers from each adding a last secret; rotation takes it too.
    op.execute("""
        CREATE FUNCTION khronika_bound_secrets() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtext('khronika secrets'), hashtext(NEW.provider));
            IF (SELECT count(*) FROM public.provider_secrets
                WHERE provider = NEW.provider
                  AND (retires_at IS NULL OR retires_at > clock_timestamp())) > 2 THEN
                RAISE EXCEPTION 'more than two active secrets'
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'provider_secrets_two_active';
            END IF;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER provider_secrets_two_active AFTER INSERT OR UPDATE ON provider_secrets
        FOR EACH ROW EXECUTE FUNCTION khronika_bound_secrets()
    """)
    # API keys of servers; only a digest of a key is stored.
    op.execute("""
        CREATE TABLE api_keys (
            id uuid PRIMARY KEY,
            name text NOT NULL,
            secret_sha256 text NOT NULL CONSTRAINT api_keys_secret UNIQUE,
            owner_id text
                CONSTRAINT api_keys_owner_id_length CHECK (length(owner_id) BETWEEN 1 AND 128),
            scopes text[] NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz,
            revoked_at timestamptz,
            last_used_at timestamptz
        )
    """)
    op.execute("""
        CREATE TABLE audit_events (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            created_at timestamptz NOT NULL DEFAULT now(),
            type text NOT NULL,
            reason text,
            actor text NOT NULL,
            provider text,
            source text,
            request_id text,
            detail jsonb NOT NULL DEFAULT '{}'
        )
    """)
    # The trigger runs under the row's lock. The start of a transaction would order two versions of
    # a row wrongly if the transaction that began first had to wait for the other.
    op.execute("""
        CREATE FUNCTION khronika_touch() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.updated_at := clock_timestamp();
            RETURN NEW;
        END $$
    """)
    # Another wake of the sweep changes nothing that a reader of the asset sees.
    op.execute("""
        CREATE TRIGGER video_assets_touch BEFORE UPDATE ON video_assets FOR EACH ROW
        WHEN (OLD.last_seq <> NEW.last_seq OR OLD.woken_at IS NOT DISTINCT FROM NEW.woken_at)
        EXECUTE FUNCTION khronika_touch()
    """)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION khronika_bound_secrets()")
    op.execute("DROP FUNCTION khronika_touch()")
