"""Jobs as clients use them: put, read and cancel.

No row keeps a credential: a source in a configured storage is named by its key, and of a remote
source the part that may open it is forgotten with the end of the job.
"""

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)
from sqlalchemy.orm import Session

from pipeline.net.fetch import FetchPolicy, FetchRefused, Version
from pipeline.net.fetch_policy import check_url
from pipeline.runtime.wakes import Wake
from pipeline.storage.base import KeyRefused, check_key
from transcoder import store
from transcoder.encode.ladder import short_side_of
from transcoder.models import DIGEST, Job
from transcoder.scratch_space import needed_bytes
from transcoder.task_names import wake_encode


class JobRefused(Exception):
    """Request that cannot be met. Attributes: `code` for machines, `message` for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class JobMissing(Exception):
    """No job has this id."""


class NoRoom(Exception):
    """The scratch folder has no room for another job at the moment."""


SOURCES = re.compile(r"original/.+|(?:protected/)?processed/.+\.mp4")
"""Keys of sources in a storage: originals, and published MP4 files for a move without one."""


class StoredSource(BaseModel):
    """Source in a configured storage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    storage: str
    key: str

    @field_validator("key")
    @classmethod
    def _is_source(cls, value: str) -> str:
        try:
            if SOURCES.fullmatch(check_key(value)) is None:
                raise ValueError("is no key of a source")
        except KeyRefused as error:
            raise ValueError(str(error)) from error
        return value


class OutputTarget(BaseModel):
    """Target of a job's outputs: a configured storage, and two prefixes in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    storage: str
    prefix: str
    poster_prefix: str

    @field_validator("prefix", "poster_prefix")
    @classmethod
    def _valid_key(cls, value: str) -> str:
        try:
            return check_key(value)
        except KeyRefused as error:
            raise ValueError(str(error)) from error  # pydantic reports it at its field


class JobRequest(BaseModel):
    """Body of a PUT."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source_url: Annotated[str, StringConstraints(min_length=1, max_length=4096)] | None = None
    """Address of a remote source."""
    source: StoredSource | None = None
    """Source in a storage; a job has the one or the other."""
    output: OutputTarget
    poster_time_sec: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    max_profile: str | None = None
    source_size_bytes: int | None = Field(default=None, ge=0)
    """Size of the source that the client has measured. A source of another size is refused as
    `source_changed`. Scratch space is reserved by it."""
    source_etag: str | None = Field(default=None, min_length=1, max_length=1024)
    """ETag of the source that the client has measured. A source with another one is refused."""

    crashes: int = Field(default=0, ge=0)
    """Workers that earlier jobs of the same source killed."""

    @field_validator("max_profile")
    @classmethod
    def _known_profile(cls, value: str | None) -> str | None:
        if value is not None:
            short_side_of(value)
        return value

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.source_url is None) is (self.source is None):
            raise ValueError("a job has either source_url or source")
        return self

    @property
    def version(self) -> Version:
        """The version of the source that the client has measured."""
        return Version(self.source_size_bytes, self.source_etag)

    @property
    def needed_bytes(self) -> int:
        """Scratch space that the job may need."""
        return needed_bytes(self.source_size_bytes)

    def is_same_request(self, stored: dict[str, Any]) -> bool:
        """Compare this request with a stored one, apart from the measurements and the crashes.

        The job keeps those that it was made with.
        """
        # After its end, a job has only a part of its source's address, and the digest of all of it.
        # A row of an earlier release may lack the digest, and then has the whole address.
        ignored = {
            "source_size_bytes": None,
            "source_etag": None,
            "source_url": None,
            "crashes": 0,
        }
        earlier = read_request(stored)
        is_same_source = stored.get(DIGEST, earlier.source_sha256) == self.source_sha256
        same = earlier.model_copy(update=ignored) == self.model_copy(update=ignored)
        return is_same_source and same

    @property
    def source_sha256(self) -> str:
        """Digest of the remote source's address, by which a repetition is recognised."""
        return sha256((self.source_url or "").encode()).hexdigest()

    def stored(self) -> dict[str, Any]:
        """Return the request as its row keeps it."""
        return {**self.model_dump(mode="json"), DIGEST: self.source_sha256}


def read_request(stored: dict[str, Any]) -> JobRequest:
    """Return the request of a row. Of a job that has ended it lacks the query of its source."""
    return JobRequest.model_validate({name: stored[name] for name in stored if name != DIGEST})


def put_job(
    session: Session,
    job_id: UUID,
    request: JobRequest,
    request_id: str,
    *,
    storages: frozenset[str],
    policy: FetchPolicy,
    has_room: Callable[[UUID, int], bool],
) -> tuple[Job, bool, list[Wake]]:
    """Create a job if there is room, or find the job that the same request created before.

    Returns:
        The job, True if it is new, and the tasks to wake.

    Raises:
        JobRefused: `url_refused`, `unknown_storage`, or `job_conflict` when another request
            created the job of this id.
        NoRoom: The job would be new, and `has_room` refused its bytes.
    """
    named = {request.output.storage, *([request.source.storage] if request.source else [])}
    if not named <= storages:
        raise JobRefused("unknown_storage", "No storage of that name is configured.")
    try:
        if request.source_url is not None:
            check_url(request.source_url, policy)
    except FetchRefused as error:
        raise JobRefused(error.code, error.detail) from error
    if store.get_job(session, job_id) is None and not has_room(job_id, request.needed_bytes):
        raise NoRoom
    created = store.insert_job(
        session, job_id, request.stored(), request_id, crashes=request.crashes
    )
    job = get_job(session, job_id)
    if not request.is_same_request(job.request):
        raise JobRefused("job_conflict", "Another request created the job of this id.")
    return job, created, [wake_encode(job_id)] if created else []


def get_job(session: Session, job_id: UUID) -> Job:
    """Read a job.

    Raises:
        JobMissing: No job has this id.
    """
    job = store.get_job(session, job_id)
    if job is None:
        raise JobMissing
    return job


def cancel_job(session: Session, job_id: UUID) -> tuple[Job, bool]:
    """Cancel a job that has not ended; return the job, and True if this call cancelled it.

    Raises:
        JobMissing: No job has this id.
    """
    cancelled = store.cancel(session, job_id)
    return get_job(session, job_id), cancelled
