"""The tables, as types. The migrations create constraints, policies and indexes."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Double, Enum, Identity, LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from pipeline.domain.states import Status

JsonObject = dict[str, Any]


class Base(DeclarativeBase):
    """Base of the tables, with the column types: unlimited text, instants with a zone, jsonb."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        str: Text(),
        datetime: DateTime(timezone=True),
        JsonObject: JSONB(),
        float: Double(),
        Status: Enum(
            Status,
            name="video_processing_status",
            values_callable=lambda states: [state.value for state in states],
            create_type=False,
        ),
    }


class Asset(Base):
    """One video of one post: its source, its state and its published output."""

    __tablename__ = "video_assets"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    post_id: Mapped[UUID]
    owner_id: Mapped[str]
    source_url: Mapped[str | None]
    upload_id: Mapped[UUID | None]
    source_size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    source_etag: Mapped[str | None]
    source_info: Mapped[JsonObject | None]
    declared: Mapped[JsonObject]
    title: Mapped[str | None]
    poster_time_sec: Mapped[float | None]
    playback: Mapped[str]
    """A value of ``Playback``: ``public`` or ``signed``."""
    allow_original: Mapped[bool]
    """True if the owner allows playback of the source in place of a video that failed."""
    charged_bytes: Mapped[int | None] = mapped_column(BigInteger)
    charged_sec: Mapped[float | None]
    """Bytes and seconds charged to the owner's quota on the day of creation; null: no charge."""

    status: Mapped[Status]
    generation: Mapped[int]
    attempt: Mapped[int]
    attempt_id: Mapped[UUID | None]
    failures: Mapped[int]
    holds: Mapped[int]
    """Waits for a passing trouble since ``held_since``; their delays grow with it."""
    held_since: Mapped[datetime | None]
    """Begin of these waits, moved by the time that the guards of an account held the asset; the
    deadline is counted from it. Null: no such wait since the last failure that was spent."""
    max_attempts: Mapped[int]
    claims: Mapped[int]
    provider: Mapped[str]
    wanted_provider: Mapped[str | None]
    """The account that the video is to move to; null once its outputs are published."""
    provider_job_id: Mapped[str | None]

    published_output_id: Mapped[UUID | None]
    manifest_url: Mapped[str | None]
    fallback_url: Mapped[str | None]
    poster_url: Mapped[str | None]
    thumbnail_url: Mapped[str | None]
    storyboard_url: Mapped[str | None]
    duration_sec: Mapped[float | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    warnings: Mapped[list[Any]] = mapped_column(JSONB)
    """Those of the published output."""

    progress: Mapped[float | None]
    progress_at: Mapped[datetime | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    hold_reason: Mapped[str | None]

    next_attempt_at: Mapped[datetime | None]
    woken_at: Mapped[datetime | None]
    next_poll_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]
    lease_token: Mapped[int] = mapped_column(BigInteger)
    lease_expires_at: Mapped[datetime | None]
    last_seq: Mapped[int] = mapped_column(BigInteger)

    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    playable_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    purged_at: Mapped[datetime | None]


class Attempt(Base):
    """One job at one provider. Its id is our external id there and is never reused."""

    __tablename__ = "provider_attempts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    asset_id: Mapped[UUID]
    generation: Mapped[int]
    number: Mapped[int]
    provider: Mapped[str]
    provider_job_id: Mapped[str | None]
    provider_request_id: Mapped[str | None]
    created_at: Mapped[datetime]
    reserved_sec: Mapped[float | None]
    """Media seconds charged to its account's hour; null: no charge."""
    intended_at: Mapped[datetime | None]
    """Committed just before the last call to the provider: from this instant the job may exist."""
    absent_at: Mapped[datetime | None]
    """Instant of the first look-up that found no such job at the provider."""
    submitted_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    """An ``AttemptOutcome``; null while the attempt is open."""
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    vendor: Mapped[JsonObject]
    """Facts that the adapter keeps; nothing else reads them."""
    release_requested_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]
    purge_at: Mapped[datetime | None]
    """Instant from which its files may be removed; null while its output is or may be published."""
    purged_at: Mapped[datetime | None]
    """Instant from which its files count as removed; its output is not published after that."""


class Output(Base):
    """The files that one attempt made and the gate passed."""

    __tablename__ = "video_outputs"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    asset_id: Mapped[UUID]
    generation: Mapped[int]
    attempt_id: Mapped[UUID]
    manifest_url: Mapped[str]
    fallback_url: Mapped[str | None]
    """Null until the provider has made it. So are the pictures."""
    poster_url: Mapped[str | None]
    thumbnail_url: Mapped[str | None]
    storyboard_url: Mapped[str | None]
    renditions: Mapped[list[Any]] = mapped_column(JSONB)
    captions: Mapped[list[Any]] = mapped_column(JSONB)
    """Captions of the manifest, as ``domain.values.Caption``."""
    warnings: Mapped[list[Any]] = mapped_column(JSONB)
    """Differences from the source, as ``domain.output_warnings`` stores them."""
    duration_sec: Mapped[float]
    width: Mapped[int]
    height: Mapped[int]
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    verified_at: Mapped[datetime]
    published_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]


class Event(Base):
    """One line of an asset's chronicle. Never updated, never deleted."""

    __tablename__ = "video_processing_events"

    asset_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(primary_key=True)
    type: Mapped[str]
    from_status: Mapped[Status | None]
    to_status: Mapped[Status | None]
    actor: Mapped[str]
    generation: Mapped[int]
    attempt: Mapped[int | None]
    provider: Mapped[str | None]
    provider_job_id: Mapped[str | None]
    provider_request_id: Mapped[str | None]
    provider_event_id: Mapped[str | None]
    detail: Mapped[JsonObject]


class AuditEvent(Base):
    """An event that belongs to no asset: a rejected callback, an operator's action.

    Append-only. The database chains each row at the commit of its transaction (ADR 24).
    """

    __tablename__ = "audit_events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    created_at: Mapped[datetime]
    type: Mapped[str]
    """An ``AuditType``."""
    reason: Mapped[str | None]
    actor: Mapped[str]
    provider: Mapped[str | None]
    source: Mapped[str | None]
    """The remote address of the request, or the machine of a command; null once forgotten."""
    request_id: Mapped[str | None]
    detail: Mapped[JsonObject]
    chain_position: Mapped[int | None] = mapped_column(BigInteger)
    previous_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    source_salt: Mapped[bytes | None] = mapped_column(LargeBinary)
    source_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    """SHA-256 of the salt and the source. The hash covers it in place of the source."""


class AuditChainEnd(Base):
    """An end of the audit's chain: its head, and the last row that the retention removed."""

    __tablename__ = "audit_chain_ends"

    name: Mapped[str] = mapped_column(primary_key=True)
    """head or removed."""
    chain_position: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class Delivery(Base):
    """One verified callback, stored before it was answered: the inbox."""

    __tablename__ = "webhook_deliveries"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    provider: Mapped[str]
    event_id: Mapped[str]
    headers: Mapped[JsonObject]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    query: Mapped[str]
    """The query string of its request."""
    body_sha256: Mapped[str]
    digest: Mapped[str]
    """Equal for redeliveries of one event, whose bodies may differ by the time of the try."""
    status: Mapped[str]
    """new, applied, ignored or dead."""
    reason: Mapped[str | None]
    tries: Mapped[int]
    next_try_at: Mapped[datetime | None]
    received_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    asset_id: Mapped[UUID | None]
    emptied_at: Mapped[datetime | None]
    """Instant at which its headers, body and query were removed for their age."""


class Upload(Base):
    """A ticket for a direct upload. Its id becomes the asset's id, so no file moves."""

    __tablename__ = "uploads"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[str]
    post_id: Mapped[UUID]
    filename: Mapped[str]
    mime_type: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    storage_key: Mapped[str]
    storage_upload_id: Mapped[str | None]
    """The storage's own name of a multipart upload; null if it has none."""
    part_size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """Size of every part except the last; null for a file that is sent in one request."""
    received_bytes: Mapped[int | None] = mapped_column(BigInteger)
    source_info: Mapped[JsonObject | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]
    claimed_at: Mapped[datetime | None]
    """Instant at which a video was registered for it; until then it may be abandoned."""
    checking_until: Mapped[datetime | None]
    """Instant until which its check is claimed by one request; null if nothing is being checked."""
    checks: Mapped[int]
    """Claims of the check so far."""
    refusal: Mapped[JsonObject | None]
    """Code and message of the refusal that its check ended with, which is final."""


class UploadPart(Base):
    """A part of an upload that has arrived. A client resumes from these rows."""

    __tablename__ = "upload_parts"

    upload_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    etag: Mapped[str]
    received_at: Mapped[datetime]


class IdempotencyRecord(Base):
    """The first answer to a request that carried an Idempotency-Key."""

    __tablename__ = "idempotency_keys"

    owner_id: Mapped[str] = mapped_column(primary_key=True)
    route: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_sha256: Mapped[str]
    status_code: Mapped[int | None]
    response: Mapped[JsonObject | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class OwnerUsage(Base):
    """Sums of the videos that an owner registered on one day (UTC), for the daily quotas."""

    __tablename__ = "owner_usage"

    owner_id: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    assets: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)
    media_sec: Mapped[float]


class ProviderSpend(Base):
    """Sums of the jobs of a provider account within one clock hour, for the spend guard."""

    __tablename__ = "provider_spend"

    provider: Mapped[str] = mapped_column(primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    assets: Mapped[int] = mapped_column(BigInteger)
    media_sec: Mapped[float]


class ProviderBreaker(Base):
    """The breaker of a provider account, by the results of its last submissions."""

    __tablename__ = "provider_breakers"

    provider: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int]
    """Submissions in a row that were not answered."""
    opened_at: Mapped[datetime | None]
    """Instant from which new submissions wait; null while the breaker is closed."""
    probe_at: Mapped[datetime | None]
    """Instant from which the next submission is admitted as a probe."""
    is_probing: Mapped[bool]
    """True while a probe is under way and has no answer yet."""


class ProviderAccount(Base):
    """The state of a provider account, as operators set it and as its answers tell."""

    __tablename__ = "provider_accounts"

    provider: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    """An ``AccountState``."""
    paused_until: Mapped[datetime | None]
    """Instant before which the vendor wants no call."""
    problem: Mapped[str | None]
    """The words with which the vendor refuses the account; null while it accepts it."""
    problem_at: Mapped[datetime | None]
    lies: Mapped[int]
    """Successes in a row that the gate rejected."""
    probation_at: Mapped[datetime | None]
    """Instant of an outage or a rejected success, until a job submitted since passes the gate."""
    changed_at: Mapped[datetime]


class ProviderPace(Base):
    """The next instant at which an account may be called, for each verb that its vendor limits."""

    __tablename__ = "provider_pace"

    provider: Mapped[str] = mapped_column(primary_key=True)
    verb: Mapped[str] = mapped_column(primary_key=True)
    free_at: Mapped[datetime]


class ProviderSecret(Base):
    """A secret that verifies an account's callbacks, encrypted under the secret key."""

    __tablename__ = "provider_secrets"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    provider: Mapped[str]
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    retires_at: Mapped[datetime | None]
    """Instant from which it verifies no callback; null while it is the newest."""


class MetricCount(Base):
    """A part of a counter or of one bucket of a histogram, kept by triggers (ADR 29).

    The sum over the shards is the value.
    """

    __tablename__ = "metric_counts"

    name: Mapped[str] = mapped_column(primary_key=True)
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text), primary_key=True)
    """Values of the metric's labels, in the order of ``operations/metric_table.py``."""
    le: Mapped[float] = mapped_column(primary_key=True)
    """Upper bound of the bucket, included; infinite for a counter."""
    shard: Mapped[int] = mapped_column(primary_key=True)
    total: Mapped[int] = mapped_column(BigInteger)
    seconds: Mapped[float]
    """Sum of the durations in the bucket."""


class WorkerPresence(Base):
    """A worker process that was there a moment ago."""

    __tablename__ = "worker_presence"

    process: Mapped[str] = mapped_column(primary_key=True)
    """Its machine and its process id."""
    queues: Mapped[list[str]] = mapped_column(ARRAY(Text))
    seen_at: Mapped[datetime | None]


class TaskRun(Base):
    """The last run of a periodic task that came to its end."""

    __tablename__ = "task_runs"

    task: Mapped[str] = mapped_column(primary_key=True)
    ended_at: Mapped[datetime | None]


class Rollout(Base):
    """The stage of the rollout: a single row."""

    __tablename__ = "rollout"

    id: Mapped[bool] = mapped_column(primary_key=True)
    percent: Mapped[int]
    """Share of the owners that may register videos."""
    since: Mapped[datetime]
    counted: Mapped[JsonObject]
    """The counts at the beginning of the stage (``domain/rollout.py``)."""
    drilled_at: Mapped[datetime | None]
    """Instant of the last fallback drill of this stage."""
    drilled_files: Mapped[int | None]
    drilled_broken: Mapped[int | None]


class RolloutOwner(Base):
    """An owner who may register videos at every stage of the rollout."""

    __tablename__ = "rollout_owners"

    owner_id: Mapped[str] = mapped_column(primary_key=True)
    added_by: Mapped[str]
    added_at: Mapped[datetime]


class CachePurge(Base):
    """A purge that is owed after a video was deleted, cancelled, restricted or replaced."""

    __tablename__ = "cache_purges"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    asset_id: Mapped[UUID]
    reason: Mapped[str]
    """deleted, cancelled, signed or replaced."""
    tries: Mapped[int]
    error: Mapped[str | None]
    created_at: Mapped[datetime]
    next_try_at: Mapped[datetime | None]
    """Instant of the next try; null once it is done."""
    done_at: Mapped[datetime | None]


class ApiKey(Base):
    """A server's key. The row has only the SHA-256 of the key itself."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    secret_sha256: Mapped[str]
    owner_id: Mapped[str | None]
    """The owner of the assets that the key acts on; null for a key of operators."""
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
