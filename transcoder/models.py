"""The transcoder's tables, in a schema of its own."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, LargeBinary, MetaData
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA = "transcoder"


class JobStatus(StrEnum):
    """Where a job is."""

    QUEUED = "queued"  # waits for a worker; a claim moves it on
    RUNNING = "running"  # a worker holds its lease; the worker moves it on, or the sweep when lost
    COMPLETED = "completed"  # its outputs are published
    FAILED = "failed"  # its error says why
    CANCELLED = "cancelled"  # the client deleted it


TERMINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})


class JobStep(StrEnum):
    """What is being done to a job, for people and progress bars."""

    QUEUED = "queued"
    DOWNLOADING = "downloading"
    PROBING = "probing"
    ENCODING = "encoding"
    PACKAGING = "packaging"
    PUBLISHING = "publishing"
    DONE = "done"


class Base(DeclarativeBase):
    """Every table lies in the transcoder's schema, every instant has its offset."""

    metadata = MetaData(schema=SCHEMA)
    type_annotation_map = {datetime: DateTime(timezone=True), dict[str, Any]: JSONB}  # noqa: RUF012  SQLAlchemy reads it from the class


class Job(Base):
    """One source to encode, under the client's id."""

    __tablename__ = "jobs"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    request: Mapped[dict[str, Any]]
    """The body it was created with; a repeated PUT is compared with it."""
    request_id: Mapped[str]
    """The request that created it, sent along with its callbacks."""
    status: Mapped[str]
    step: Mapped[str]
    progress: Mapped[float]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    claims: Mapped[int]
    """How many workers have taken it up."""
    lease_token: Mapped[int]
    """Raised by every claim and by a cancel; a write with an older one matches nothing."""
    lease_expires_at: Mapped[datetime | None]
    cleanup_owed: Mapped[bool]
    """Whether output may lie about that nobody will ever name: the job ended without a result."""
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class OwedCallback(Base):
    """One callback that must arrive. Its id is the `webhook-id` of every try."""

    __tablename__ = "callbacks"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey(Job.id, ondelete="CASCADE"))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    """The bytes of every try: receivers tell a repetition by id and body."""
    request_id: Mapped[str]
    tries: Mapped[int]
    next_try_at: Mapped[datetime]
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
    abandoned_at: Mapped[datetime | None]
    """When it was given up: after a day, or because the receiver answered 410."""
