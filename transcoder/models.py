"""The transcoder's tables, in a schema of its own."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, LargeBinary, MetaData
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA = "transcoder"
DIGEST = "source_sha256"
"""Member of a row's request: the digest of its source's whole address."""


class JobStatus(StrEnum):
    """State of a job."""

    QUEUED = "queued"  # waits for a worker; a claim moves it on
    RUNNING = "running"  # a worker holds its lease; that worker moves it on, or the sweep does
    COMPLETED = "completed"  # its outputs are published
    FAILED = "failed"  # its `error` column holds the reason
    CANCELLED = "cancelled"  # the client deleted it


TERMINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})


class JobStep(StrEnum):
    """Stage of the work on a job, for people and progress bars."""

    QUEUED = "queued"
    DOWNLOADING = "downloading"
    PROBING = "probing"
    ENCODING = "encoding"
    PACKAGING = "packaging"
    PUBLISHING = "publishing"
    DONE = "done"


class Base(DeclarativeBase):
    """Base of the tables: all are in the transcoder's schema, every instant has an offset."""

    metadata = MetaData(schema=SCHEMA)
    type_annotation_map = {datetime: DateTime(timezone=True), dict[str, Any]: JSONB}  # noqa: RUF012  SQLAlchemy reads it from the class


class Job(Base):
    """Source to encode, under the client's id."""

    __tablename__ = "jobs"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    request: Mapped[dict[str, Any]]
    """Body of the PUT that created it; a repeated PUT is compared with it."""
    request_id: Mapped[str]
    """`X-Request-Id` of the PUT that created it; its callbacks carry it."""
    status: Mapped[str]
    step: Mapped[str]
    step_at: Mapped[datetime]
    """Begin of the step; a trigger sets it."""
    progress: Mapped[float]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    claims: Mapped[int]
    """Workers that have claimed it, and those that earlier jobs of its source killed."""
    lease_token: Mapped[int]
    """Raised by every claim and by a cancel; a write with an older one matches nothing."""
    lease_expires_at: Mapped[datetime | None]
    cleanup_owed: Mapped[bool]
    """True if the job ended without a result and may have published outputs to remove."""
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class OwedCallback(Base):
    """Callback that must arrive. Its id is the `webhook-id` of every try."""

    __tablename__ = "callbacks"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey(Job.id, ondelete="CASCADE"))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    """Bytes of every try: a receiver recognises a repetition by id and body."""
    request_id: Mapped[str]
    tries: Mapped[int]
    next_try_at: Mapped[datetime]
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
    abandoned_at: Mapped[datetime | None]
    """Instant of giving up: after a day, or because the receiver answered 410."""
