"""Adapter of our own transcoder, an HTTP service that knows nothing of assets.

Its job id is our attempt id, so a repeated PUT makes no second job and every callback names its
attempt.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

import requests
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from urllib3.exceptions import HTTPError

from pipeline.domain.errors import TerminalProviderError, TransientProviderError, UnknownOutcome
from pipeline.domain.values import (
    Outputs,
    Phase,
    ProviderStatus,
    SignedCallback,
    SubmitRequest,
    Submitted,
)
from pipeline.net.responses import body_pieces
from pipeline.net.signatures import verify
from pipeline.providers.base import CallbackUnreadable, Capabilities, Trust
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

HELD = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""Answers of a provider that did not take the job: the asset waits at no cost to its budget."""

MAX_ANSWER_BYTES = 1024 * 1024
"""Most bytes of an answer. A job with the most renditions that we accept has a few dozen KiB."""
_SECONDS = re.compile(r"[0-9]{1,9}")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")

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


@dataclass(frozen=True)
class _Answer:
    """An answer that was read to its end, within the bounds."""

    status: int
    headers: Mapping[str, str]  # names in any case
    body: bytes

    @property
    def ok(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def is_redirect(self) -> bool:
        return HTTPStatus.MULTIPLE_CHOICES <= self.status < HTTPStatus.BAD_REQUEST

    @property
    def request_id(self) -> str | None:
        found = _REQUEST_ID.fullmatch(self.headers.get("X-Request-Id", ""))
        return found[0] if found else None

    @property
    def retry_after_sec(self) -> float | None:
        """Whole seconds, the transcoder's form; None for a date."""
        found = _SECONDS.fullmatch(self.headers.get("Retry-After", ""))
        return float(found[0]) if found else None


class SelfHosted:
    """The adapter of the transcoder's HTTP API."""

    capabilities = Capabilities(
        idempotent_submit=True, margin_sec=5, protects_outputs=True, caps_profile=True
    )

    def __init__(
        self,
        *,
        name: str,
        url: str,
        token: str,
        timeout_sec: float,
        tolerance_sec: int,
        trust: Trust,
    ) -> None:
        self.name = name
        self.trust = trust
        self._jobs = url.rstrip("/") + "/v1/jobs"
        self._timeout = (min(5.0, timeout_sec), timeout_sec)
        self._tolerance_sec = tolerance_sec
        # An HTTPAdapter and no Session, because a Session reads the whole body of a redirect.
        self._http = requests.adapters.HTTPAdapter(max_retries=0)
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Accept-Encoding": "identity",  # nothing bounds the size of a decompressed body
        }

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
            "source_size_bytes": request.source_size_bytes,
        }
        answer = self._call("PUT", request.attempt_id, body)
        if not answer.ok:
            raise _refusal(answer)
        return Submitted(str(request.attempt_id), answer.request_id)

    def find(self, attempt_id: UUID) -> ProviderStatus | None:
        """GET the job by our attempt's id."""
        try:
            answer = self._call("GET", attempt_id)
        except UnknownOutcome as error:
            # A GET without an answer changed nothing: ask again later.
            raise TransientProviderError(error.code, str(error)) from error
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if not answer.ok:
            raise _silence(answer)
        try:
            job = _JOB.validate_python(_document(answer.body))
        except (CallbackUnreadable, ValidationError) as error:
            reason = type(error).__name__
            raise TransientProviderError("provider_failed", f"unreadable: {reason}") from error
        return _status(job, answer.request_id)

    def fetch(self, attempt_id: UUID, provider_job_id: str) -> ProviderStatus | None:
        """Do the same as ``find``: both ids are equal."""
        assert provider_job_id == str(attempt_id)
        return self.find(attempt_id)

    def cancel(self, attempt_id: UUID, provider_job_id: str | None) -> None:
        """DELETE the job."""
        assert provider_job_id in {None, str(attempt_id)}
        try:
            answer = self._call("DELETE", attempt_id)
        except UnknownOutcome as error:
            raise TransientProviderError(error.code, str(error)) from error
        if not answer.ok and answer.status != HTTPStatus.NOT_FOUND:
            raise _silence(answer)

    def verify_callback(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
    ) -> SignedCallback:
        """Verify by Standard Webhooks, with each active secret."""
        signed = verify(headers, body, secrets, now=now, tolerance_sec=self._tolerance_sec)
        return SignedCallback(signed.id, signed.timestamp)

    def read_callback(self, body: bytes) -> ProviderStatus | None:
        """Read an event by the schema of its type."""
        document = _document(body)
        try:
            schema = CALLBACKS.get(_Envelope.model_validate(document).type)
            return _status(schema.model_validate(document).data.job, None) if schema else None
        except ValidationError as error:
            raise CallbackUnreadable("not what its type documents") from error

    def _call(self, method: str, attempt_id: UUID, body: Any = None) -> _Answer:
        url = f"{self._jobs}/{attempt_id}"
        try:
            request = requests.Request(method, url, headers=self._headers, json=body).prepare()
            with self._http.send(request, stream=True, timeout=self._timeout) as answer:
                return _Answer(answer.status_code, answer.headers, self._body_of(answer))
        except requests.ConnectTimeout as error:
            raise _unreachable(error) from error
        except requests.ConnectionError as error:
            if _never_connected(error):
                raise _unreachable(error) from error
            raise UnknownOutcome("provider_failed", "the connection broke") from error
        except (requests.RequestException, HTTPError) as error:
            raise UnknownOutcome("provider_failed", type(error).__name__) from error

    def _body_of(self, answer: requests.Response) -> bytes:
        body, deadline = bytearray(), time.monotonic() + self._timeout[1]
        for piece in body_pieces(answer):
            body += piece
            if len(body) > MAX_ANSWER_BYTES or time.monotonic() > deadline:
                raise UnknownOutcome("provider_failed", "the answer does not end")
        return bytes(body)


def _never_connected(error: requests.ConnectionError) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return type(reason).__name__ in {"NewConnectionError", "NameResolutionError"}


def _unreachable(error: Exception) -> TransientProviderError:
    # No byte left this machine, so there is no job: the asset waits without spending its budget.
    message = f"not reached: {type(error).__name__}"
    return TransientProviderError("provider_failed", message, held=True)


def _refusal(answer: _Answer) -> Exception:
    error = _error_of(answer)
    if answer.status in HELD:
        return TransientProviderError(
            error.code,
            error.message,
            request_id=answer.request_id,
            retry_after_sec=answer.retry_after_sec,
            held=True,
        )
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return UnknownOutcome(error.code, error.message, request_id=answer.request_id)
    # The transcoder sends no redirect: another server answered at its address.
    if error.retryable or answer.is_redirect:
        return TransientProviderError(error.code, error.message, request_id=answer.request_id)
    return TerminalProviderError("provider_refused", error.message, request_id=answer.request_id)


def _silence(answer: _Answer) -> TransientProviderError:
    return TransientProviderError(
        "provider_failed",
        f"answered {answer.status}",
        request_id=answer.request_id,
        retry_after_sec=answer.retry_after_sec,
    )


def _error_of(answer: _Answer) -> _Error:
    try:
        return _Error.model_validate(read_document(answer.body)["error"])
    except (ValueError, KeyError, TypeError):
        return _Error(code="provider_failed", message=f"answered {answer.status}", retryable=False)


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
