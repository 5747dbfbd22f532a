"""Adapter of our own transcoder, an HTTP service that knows nothing of assets.

Its job id is our attempt id, so a repeated PUT makes no second job and every callback names its
attempt.
"""

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
)

from pipeline.config.account_settings import AccountSettings
from pipeline.domain.values import (
    CallbackEnvelope,
    JobRef,
    ListedJob,
    Outputs,
    Phase,
    Profile,
    ProviderStatus,
    SignedCallback,
    SubmitRequest,
    Submitted,
)
from pipeline.net.signatures import check_secret, verify
from pipeline.providers.base import (
    Adapter,
    CallbackUnreadable,
    Capabilities,
    Opening,
    OutputKind,
    SecretFormat,
    Trust,
)
from pipeline.providers.transport import ProviderHttp, VendorAnswer, VendorError, unreadable
from pipeline.runtime.strict_json import DocumentRefused, read_document

STORAGE = "default"
"""The name under which the transcoder has our storage configured."""

PHASES = {
    "queued": Phase.WAITING,
    "running": Phase.RUNNING,
    "completed": Phase.COMPLETED,
    "failed": Phase.FAILED,
    "cancelled": Phase.CANCELLED,
}

Address = Annotated[str, Field(min_length=1, max_length=4096)]
Side = Annotated[int, Field(ge=1, le=65535)]
MAX_DURATION_SEC = 7 * 24 * 3600
MAX_BYTES = 2**53
"""Largest integer range that every JSON reader holds exactly (RFC 8259, section 6)."""


class _Read(BaseModel):
    """The part of a document that the adapter reads; other members are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class _Result(_Read):
    manifest: Address
    fallback: Address
    poster: Address
    thumbnail: Address
    storyboard: Address | None = None
    duration_sec: float = Field(gt=0, le=MAX_DURATION_SEC)
    width: Side
    height: Side
    bytes: int = Field(ge=0, le=MAX_BYTES)
    renditions: list[dict[str, Any]] = Field(max_length=64)


class _Error(_Read):
    code: str = Field(max_length=64)
    message: str = Field(max_length=10_000)
    retryable: bool


class _Job(_Read):
    id: UUID
    progress: float = Field(0, ge=0, le=100)


class _Live(_Job):
    status: Literal["queued", "running"]


class _Completed(_Job):
    status: Literal["completed"]
    result: _Result


class _Failed(_Job):
    status: Literal["failed"]
    error: _Error


class _Cancelled(_Job):
    status: Literal["cancelled"]


_AnyJob = Annotated[_Live | _Completed | _Failed | _Cancelled, Field(discriminator="status")]


class _Envelope(_Read):
    type: str = Field(max_length=64)


class _AnyData(_Read):
    job: _AnyJob


class _CompletedData(_Read):
    job: _Completed


class _FailedData(_Read):
    job: _Failed


class _Progressed(_Read):
    """``job.progress``: the state of the job at that time; the job may have ended since."""

    data: _AnyData


class _HasCompleted(_Read):
    """``job.completed``."""

    data: _CompletedData


class _HasFailed(_Read):
    """``job.failed``."""

    data: _FailedData


CALLBACKS: Mapping[str, type[_Progressed | _HasCompleted | _HasFailed]] = {
    "job.progress": _Progressed,
    "job.completed": _HasCompleted,
    "job.failed": _HasFailed,
}
"""Schemas of the transcoder's events by type. Events of other types are ignored."""

_JOB: TypeAdapter[_Live | _Completed | _Failed | _Cancelled] = TypeAdapter(_AnyJob)


class Settings(AccountSettings):
    """An account of our own transcoder."""

    url: AnyHttpUrl
    """The transcoder's address."""
    token: SecretStr
    """Bearer token that the transcoder accepts."""


class SelfHosted:
    """The adapter of the transcoder's HTTP API."""

    capabilities = Capabilities(
        idempotent_submit=True,
        margin_sec=5,
        writes_to_our_storage=True,
        signed_playback=True,
        caps=frozenset(Profile),
    )

    def __init__(self, opening: Opening) -> None:
        settings: Settings = opening.settings
        self.name = opening.name
        self.trust = Trust(settings.output_hosts, settings.webhook_sources)
        self._tolerance_sec = opening.tolerance_sec
        self._http = ProviderHttp(
            f"{str(settings.url).rstrip('/')}/v1/jobs",
            headers={"Authorization": f"Bearer {settings.token.get_secret_value()}"},
            timeout_sec=opening.timeout_sec,
            explain=_explain,
        )

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._http.close()

    def submit(self, request: SubmitRequest) -> Submitted:
        """PUT the job under our attempt's id."""
        body = {
            "source_url": request.source_url,
            "output": {
                "storage": STORAGE,
                "prefix": request.output_prefix,
                "poster_prefix": request.poster_prefix,
            },
            "poster_time_sec": request.poster_time_sec,
            "max_profile": request.max_profile,
            "source_size_bytes": request.source.size_bytes,
        }
        answer = self._http.submit("PUT", f"/{request.attempt_id}", json=body)
        return Submitted(str(request.attempt_id), answer.request_id)

    def advance(self, job: JobRef, follow_up: str) -> None:
        """Do nothing: the transcoder needs no follow-up call."""

    def find(self, job: JobRef) -> ProviderStatus | None:
        """GET the job by our attempt's id."""
        answer = self._http.ask("GET", f"/{job.attempt_id}")
        if answer is None:
            return None
        try:
            found = _JOB.validate_python(answer.document())
        except ValidationError as error:
            raise unreadable(answer, type(error).__name__) from error
        return _status(found, answer.request_id)

    def fetch(self, job: JobRef) -> ProviderStatus | None:
        """Do the same as ``find``: both ids are equal."""
        return self.find(job)

    def cancel(self, job: JobRef) -> None:
        """DELETE the job."""
        self._http.ask("DELETE", f"/{job.attempt_id}")

    def list_since(self, instant: datetime) -> Iterator[ListedJob]:
        """Yield nothing: the transcoder bills no job, and keeps its files in our storage."""
        del instant
        yield from ()

    def sign(self, address: str, kind: OutputKind, until: datetime) -> str:
        """Refuse: its outputs lie in our own storage, which signs their addresses itself."""
        raise NotImplementedError

    def documents_for(self, envelope: CallbackEnvelope) -> Sequence[str]:
        """Return nothing: the secrets suffice."""
        del envelope
        return ()

    def verify_callback(
        self, envelope: CallbackEnvelope, secrets: Sequence[str], now: datetime
    ) -> SignedCallback:
        """Verify by Standard Webhooks, with each active secret."""
        signed = verify(
            envelope.headers, envelope.body, secrets, now=now, tolerance_sec=self._tolerance_sec
        )
        return SignedCallback(signed.id, signed.timestamp)

    def read_callback(self, envelope: CallbackEnvelope) -> ProviderStatus | None:
        """Read an event by the schema of its type."""
        document = _document(envelope.body)
        try:
            schema = CALLBACKS.get(_Envelope.model_validate(document).type)
            return _status(schema.model_validate(document).data.job, None) if schema else None
        except ValidationError as error:
            raise CallbackUnreadable("not what its type documents") from error


def make_secret() -> str:
    """Make a secret of Standard Webhooks, which asks for 24 to 64 random bytes."""
    return f"whsec_{base64.b64encode(os.urandom(32)).decode()}"


ADAPTER = Adapter(
    settings=Settings, open=SelfHosted, secrets=SecretFormat(check_secret, make_secret)
)


def _explain(answer: VendorAnswer) -> VendorError:
    try:
        error = _Error.model_validate(read_document(answer.body)["error"])
    except (ValueError, KeyError, TypeError):
        return VendorError(f"answered {answer.status}")
    return VendorError(error.message, error.code, error.retryable)


def _document(body: bytes) -> Any:
    try:
        return read_document(body)
    except DocumentRefused as error:
        raise CallbackUnreadable(str(error)) from error


def _status(
    job: _Live | _Completed | _Failed | _Cancelled, request_id: str | None
) -> ProviderStatus:
    error = job.error if isinstance(job, _Failed) else None
    return ProviderStatus(
        phase=PHASES[job.status],
        attempt_id=job.id,
        provider_job_id=str(job.id),
        provider_request_id=request_id,
        progress=job.progress,
        outputs=_outputs(job.result) if isinstance(job, _Completed) else None,
        error_code=error.code if error else None,
        error_message=error.message if error else None,
        retryable=error.retryable if error else False,
    )


def _outputs(result: _Result) -> Outputs:
    return Outputs(
        manifest_url=result.manifest,
        fallback_url=result.fallback,
        poster_url=result.poster,
        thumbnail_url=result.thumbnail,
        storyboard_url=result.storyboard,
        duration_sec=result.duration_sec,
        width=result.width,
        height=result.height,
        renditions=result.renditions,
        size_bytes=result.bytes,
    )
