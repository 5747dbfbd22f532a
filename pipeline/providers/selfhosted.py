"""Our own transcoder, as the provider it is: an HTTP service that knows nothing of assets.

Its job id is our attempt id, so a repeated PUT makes no second job and every callback names the
attempt it belongs to.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import UUID

import requests
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import TerminalProviderError, TransientProviderError, UnknownOutcome
from pipeline.net.signatures import verify
from pipeline.providers.base import CallbackUnreadable, Capabilities, Trust
from pipeline.values import (
    Outputs,
    Phase,
    ProviderStatus,
    SignedCallback,
    SubmitRequest,
    Submitted,
)

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
"""Answers that say the job was not taken: waiting for it costs the asset no budget."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Result(_Strict):
    manifest: str
    fallback: str
    poster: str
    thumbnail: str
    duration_sec: float
    width: int
    height: int
    bytes: int
    renditions: list[dict[str, Any]]


class _Error(_Strict):
    code: str
    message: str
    retryable: bool


class _Job(_Strict):
    id: UUID
    status: str
    progress: float = 0
    result: _Result | None = None
    error: _Error | None = None


class _CallbackData(_Strict):
    job: _Job


class _Callback(_Strict):
    type: str
    data: _CallbackData


Model = TypeVar("Model", bound=BaseModel)


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
        secrets: Sequence[str],
        timeout_sec: float,
        tolerance_sec: int,
        trust: Trust,
    ) -> None:
        self.name = name
        self.trust = trust
        self._jobs = url.rstrip("/") + "/v1/jobs"
        self._secrets = tuple(secrets)
        self._timeout = (min(5.0, timeout_sec), timeout_sec)
        self._tolerance_sec = tolerance_sec
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {token}"

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
        return Submitted(str(request.attempt_id), answer.headers.get("X-Request-Id"))

    def find(self, attempt_id: UUID) -> ProviderStatus | None:
        """GET the job: its id is ours."""
        try:
            answer = self._call("GET", attempt_id)
        except UnknownOutcome as error:
            # A question that got no answer changed nothing: ask again later.
            raise TransientProviderError(error.code, str(error)) from error
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        if not answer.ok:
            raise _silence(answer)
        try:
            return _status(_parse(_Job, answer.content), answer.headers.get("X-Request-Id"))
        except CallbackUnreadable as error:
            raise TransientProviderError("provider_failed", f"unreadable: {error}") from error

    def fetch(self, attempt_id: UUID, provider_job_id: str) -> ProviderStatus | None:
        """The same as ``find``: both ids are one."""
        assert provider_job_id == str(attempt_id)
        return self.find(attempt_id)

    def cancel(self, attempt_id: UUID, provider_job_id: str | None) -> None:
        """DELETE the job."""
        assert provider_job_id in {None, str(attempt_id)}
        try:
            answer = self._call("DELETE", attempt_id)
        except UnknownOutcome as error:
            raise TransientProviderError(error.code, str(error)) from error
        if not answer.ok and answer.status_code != HTTPStatus.NOT_FOUND:
            raise _silence(answer)

    def verify_callback(
        self, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> SignedCallback:
        """Standard Webhooks, against every active secret."""
        signed = verify(headers, body, self._secrets, now=now, tolerance_sec=self._tolerance_sec)
        return SignedCallback(signed.id, signed.timestamp)

    def read_callback(self, body: bytes) -> ProviderStatus | None:
        """Read ``job.*`` events; a type we do not know means nothing to us."""
        callback = _parse(_Callback, body)
        if not callback.type.startswith("job."):
            return None
        return _status(callback.data.job, None)

    def _call(self, method: str, attempt_id: UUID, body: Any = None) -> requests.Response:
        url = f"{self._jobs}/{attempt_id}"
        try:
            return self._session.request(
                method, url, json=body, timeout=self._timeout, allow_redirects=False
            )
        except requests.ConnectTimeout as error:
            raise _unreachable(error) from error
        except requests.ConnectionError as error:
            if _never_connected(error):
                raise _unreachable(error) from error
            raise UnknownOutcome("provider_failed", "the connection broke") from error
        except requests.RequestException as error:
            raise UnknownOutcome("provider_failed", type(error).__name__) from error


def _never_connected(error: requests.ConnectionError) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return type(reason).__name__ in {"NewConnectionError", "NameResolutionError"}


def _unreachable(error: Exception) -> TransientProviderError:
    # No byte left this machine, so there is no job: the asset waits without spending its budget.
    message = f"not reached: {type(error).__name__}"
    return TransientProviderError("provider_failed", message, held=True)


def _refusal(answer: requests.Response) -> Exception:
    request_id = answer.headers.get("X-Request-Id")
    error = _error_of(answer)
    if answer.status_code in HELD:
        return TransientProviderError(
            error.code,
            error.message,
            request_id=request_id,
            retry_after_sec=_retry_after(answer),
            held=True,
        )
    if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return UnknownOutcome(error.code, error.message, request_id=request_id)
    if error.retryable:
        return TransientProviderError(error.code, error.message, request_id=request_id)
    return TerminalProviderError("provider_refused", error.message, request_id=request_id)


def _silence(answer: requests.Response) -> TransientProviderError:
    return TransientProviderError(
        "provider_failed",
        f"answered {answer.status_code}",
        request_id=answer.headers.get("X-Request-Id"),
        retry_after_sec=_retry_after(answer),
    )


def _error_of(answer: requests.Response) -> _Error:
    try:
        return _Error.model_validate(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return _Error(
            code="provider_failed", message=f"answered {answer.status_code}", retryable=False
        )


def _retry_after(answer: requests.Response) -> float | None:
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None


def _parse(model: type[Model], body: bytes) -> Model:
    try:
        return model.model_validate(json.loads(body))
    except (ValueError, RecursionError, ValidationError) as error:
        raise CallbackUnreadable(type(error).__name__) from error


def _status(job: _Job, request_id: str | None) -> ProviderStatus:
    phase = PHASES.get(job.status)
    if phase is None or (phase is Phase.COMPLETED) != (job.result is not None):
        raise CallbackUnreadable(f"a job that is {job.status} with no meaning to us")
    return ProviderStatus(
        phase=phase,
        attempt_id=job.id,
        provider_job_id=str(job.id),
        provider_request_id=request_id,
        progress=job.progress,
        outputs=_outputs(job.result) if job.result else None,
        error_code=job.error.code if job.error else None,
        error_message=job.error.message if job.error else None,
        retryable=job.error.retryable if job.error else False,
    )


def _outputs(result: _Result) -> Outputs:
    return Outputs(
        manifest_url=result.manifest,
        fallback_url=result.fallback,
        poster_url=result.poster,
        thumbnail_url=result.thumbnail,
        duration_sec=result.duration_sec,
        width=result.width,
        height=result.height,
        renditions=result.renditions,
        size_bytes=result.bytes,
    )
