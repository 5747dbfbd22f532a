"""Adapter of our own transcoder, an HTTP service that knows nothing of assets.

Its job id is our attempt id, so a repeated PUT makes no second job and every callback names its
attempt.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AliasPath, AnyHttpUrl, Field, SecretStr, ValidationError, model_validator

from pipeline.config.account_settings import AccountSettings
from pipeline.domain.values import (
    CRASHES,
    CallbackEnvelope,
    JobRef,
    Outputs,
    Phase,
    Profile,
    ProviderStatus,
    SignedCallback,
    SubmitRequest,
    Submitted,
)
from pipeline.net.signatures import check_secret, make_secret, verify
from pipeline.providers import base, transport
from pipeline.providers.reported_warnings import Warnings
from pipeline.runtime.strict_json import DocumentRefused, read_document

STORAGE = "default"
"""The name under which the transcoder has our storage configured."""
MAX_DURATION_SEC = 7 * 24 * 3600
MAX_BYTES = 2**53
"""Largest integer range that every JSON reader holds exactly (RFC 8259, section 6)."""

PHASES = {
    "queued": Phase.WAITING,
    "running": Phase.RUNNING,
    "completed": Phase.COMPLETED,
    "failed": Phase.FAILED,
    "cancelled": Phase.CANCELLED,
}
CALLBACKS: Mapping[str, frozenset[str]] = {
    "job.progress": frozenset(PHASES),
    "job.completed": frozenset({"completed"}),
    "job.failed": frozenset({"failed"}),
}
"""The states that a job may have in an event of each type. Events of other types are ignored."""

Address = Annotated[str, Field(min_length=1, max_length=4096)]
Side = Annotated[int, Field(ge=1, le=65535)]


class _Result(transport.VendorDocument):
    """The outputs, by the names that ``Outputs`` has for them."""

    manifest_url: Address = Field(validation_alias="manifest")
    fallback_url: Address = Field(validation_alias="fallback")
    poster_url: Address = Field(validation_alias="poster")
    thumbnail_url: Address = Field(validation_alias="thumbnail")
    storyboard_url: Address | None = Field(None, validation_alias="storyboard")
    duration_sec: float = Field(gt=0, le=MAX_DURATION_SEC)
    source_sec: float | None = Field(
        None, gt=0, le=MAX_DURATION_SEC, validation_alias=AliasPath("source", "duration_sec")
    )
    width: Side
    height: Side
    size_bytes: int = Field(ge=0, le=MAX_BYTES, validation_alias="bytes")
    renditions: list[dict[str, Any]] = Field(max_length=64)
    warnings: Warnings = Field(default_factory=list)


class _Fault(transport.VendorDocument):
    code: str = Field(max_length=64)
    message: str = Field(max_length=10_000)
    retryable: bool


class _Job(transport.VendorDocument):
    id: UUID
    status: Literal["queued", "running", "completed", "failed", "cancelled"]
    progress: float = Field(0, ge=0, le=100)
    result: _Result | None = None
    error: _Fault | None = None
    crashes: int = Field(0, ge=0, le=1000)

    @model_validator(mode="after")
    def _says_how_it_ended(self) -> Self:
        if {"completed": self.result, "failed": self.error}.get(self.status, "") is None:
            raise ValueError("a job that ended has its result or its error")
        return self


class _Event(transport.VendorDocument):
    type: str = Field(max_length=64)
    data: Any = None


class Settings(AccountSettings):
    """An account of our own transcoder."""

    url: AnyHttpUrl
    """The transcoder's address."""
    token: SecretStr
    """Bearer token that the transcoder accepts."""


class SelfHosted(base.SimpleProvider):
    """The adapter of the transcoder's HTTP API."""

    capabilities = base.Capabilities(
        idempotent_submit=True,
        margin_sec=5,
        writes_to_our_storage=True,
        signed_playback=True,
        names_losses=True,
        caps=frozenset(Profile),
        bills_failures=False,
    )

    def __init__(self, opening: base.Opening) -> None:
        settings: Settings = opening.settings
        self.name = opening.name
        self.trust = base.Trust(settings.output_hosts, settings.webhook_sources)
        self._tolerance_sec = opening.tolerance_sec
        self._http = transport.ProviderHttp(
            f"{str(settings.url).rstrip('/')}/v1/jobs",
            headers={"Authorization": f"Bearer {settings.token.get_secret_value()}"},
            timeout_sec=opening.timeout_sec,
            explain=_explain,
        )

    def submit(self, request: SubmitRequest) -> Submitted:
        """PUT the job under our attempt's id. A source in our storage is named by its key."""
        stored = {"source": {"storage": STORAGE, "key": request.source_key}}
        output = {"prefix": request.output_prefix, "poster_prefix": request.poster_prefix}
        body = {
            **({"source_url": request.source_url} if request.source_key is None else stored),
            "output": {"storage": STORAGE, **output},
            "poster_time_sec": request.poster_time_sec,
            "max_profile": request.max_profile,
            "source_size_bytes": request.source.size_bytes,
            "source_etag": request.source_etag,
            # An older transcoder refuses members that it does not know.
            **({"crashes": request.crashes} if request.crashes else {}),
        }
        answer = self._http.submit("PUT", f"/{request.attempt_id}", json=body)
        return Submitted(str(request.attempt_id), answer.request_id)

    def find(self, job: JobRef) -> ProviderStatus | None:
        """GET the job by our attempt's id."""
        answer = self._http.ask("GET", f"/{job.attempt_id}")
        return _status(transport.read_answer(answer, _Job), answer.request_id) if answer else None

    fetch = find  # both ids are equal

    def cancel(self, job: JobRef) -> None:
        """DELETE the job."""
        self._http.ask("DELETE", f"/{job.attempt_id}")

    def verify_callback(
        self, envelope: CallbackEnvelope, secrets: Sequence[str], now: datetime
    ) -> SignedCallback:
        """Verify by Standard Webhooks, with each active secret."""
        signed = verify(
            envelope.headers, envelope.body, secrets, now=now, tolerance_sec=self._tolerance_sec
        )
        return SignedCallback(signed.id, signed.timestamp)

    def read_callback(self, envelope: CallbackEnvelope) -> ProviderStatus | None:
        """Read an event, whose type says how its job may stand."""
        try:
            event = _Event.model_validate(read_document(envelope.body))
            if event.type not in CALLBACKS:
                return None
            job = _Job.model_validate(event.data["job"])
        except (DocumentRefused, ValidationError, KeyError, TypeError) as error:
            raise base.CallbackUnreadable("not what its type documents") from error
        if job.status not in CALLBACKS[event.type]:
            raise base.CallbackUnreadable(f"a job that is {job.status} in {event.type}")
        return _status(job, None)


ADAPTER = base.Adapter(Settings, SelfHosted, base.SecretFormat(check_secret, make_secret))


def _explain(answer: transport.VendorAnswer) -> transport.VendorError:
    try:
        fault = _Fault.model_validate(read_document(answer.body)["error"])
    except (ValueError, KeyError, TypeError):
        return transport.VendorError(f"answered {answer.status}")
    return transport.VendorError(fault.message, fault.code, fault.retryable)


def _status(job: _Job, request_id: str | None) -> ProviderStatus:
    told: dict[str, Any] = {}
    if job.status == "completed" and job.result:
        told = {"outputs": Outputs(**dict(job.result))}
    elif job.status == "failed" and job.error:
        told = dict(base.failed(**job.error.model_dump()))
    return ProviderStatus(
        **{"phase": PHASES[job.status], **told},
        attempt_id=job.id,
        provider_job_id=str(job.id),
        provider_request_id=request_id,
        progress=job.progress,
        vendor={CRASHES: job.crashes} if job.crashes else {},
    )
