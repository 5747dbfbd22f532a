"""The HTTP service.

    gunicorn 'transcoder.app:create_app()'

| route | answers |
|---|---|
| `PUT /v1/jobs/{id}` | 201 new, 200 the same request again, 409 `job_conflict`, 422 refused, |
| | 503 `insufficient_space` with Retry-After, or `host_unfit`: no job was created |
| `GET /v1/jobs/{id}` | 200, 404 |
| `DELETE /v1/jobs/{id}` | 202 cancelled, 200 it had ended already, 404 |
| `GET /metrics` | 200, for Prometheus; its own token opens it, too |
| `GET /healthz`, `GET /readyz` | 200, or 503 while the database takes no writes; no token needed |

Every other route needs `Authorization: Bearer`. Every answer carries `X-Request-Id`.
"""

import hmac
import logging
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

from flask import Blueprint, Flask, Request, Response, current_app, g, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import ValidationError
from werkzeug.exceptions import BadRequest, HTTPException, RequestTimeout

from pipeline.net.broken_bodies import CheckedInput
from pipeline.net.id_converter import read_ids_in
from pipeline.net.listeners import comes_from_here
from pipeline.runtime.database import DATABASE_AWAY, session_of, takes_writes
from pipeline.runtime.strict_json import DocumentRefused, read_document
from transcoder.job_metrics import exposition
from transcoder.job_view import error_view, job_view
from transcoder.jobs import (
    JobMissing,
    JobRefused,
    JobRequest,
    NoRoom,
    cancel_job,
    get_job,
    put_job,
)
from transcoder.log_redaction import redact_server_logs
from transcoder.services import TranscoderServices, make_services
from transcoder.settings import load_or_exit

_log = logging.getLogger(__name__)

_MAX_BODY_BYTES = 64 * 1024
_ROOM_AFTER_SEC = 30  # about the time that one clip takes, after which there may be room
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")  # copied unchanged into logs and headers

JsonAnswer = tuple[Response, HTTPStatus]

_AWAY = HTTPStatus.SERVICE_UNAVAILABLE
_ANSWERS: dict[type[Exception], tuple[HTTPStatus, str, str]] = {
    JobMissing: (HTTPStatus.NOT_FOUND, "job_not_found", "There is no job of this id."),
    NoRoom: (_AWAY, "insufficient_space", "There is no room for this video at the moment."),
    **dict.fromkeys(DATABASE_AWAY, (_AWAY, "unavailable", "The service is not ready.")),
    OSError: (_AWAY, "host_unfit", "The transcoder's machine failed."),
}


class JobsRequest(Request):
    """A request whose broken body is answered with 400, and a slow one with 408."""

    def __init__(self, environ: dict[str, Any], *args: Any, **options: Any) -> None:
        environ["wsgi.input"] = CheckedInput(environ["wsgi.input"], BadRequest, RequestTimeout)
        super().__init__(environ, *args, **options)


jobs = Blueprint("jobs", __name__, url_prefix="/v1/jobs")
health = Blueprint("health", __name__)


def create_app(services: TranscoderServices | None = None) -> Flask:
    """Make the WSGI application; read the services from the environment if none are given."""
    if services is None:
        services = make_services(load_or_exit())
        redact_server_logs()
    app = Flask("transcoder")
    read_ids_in(app.url_map)
    app.url_map.merge_slashes = False  # else a redirect would name the host that a client chose
    app.request_class = JobsRequest
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY_BYTES
    app.extensions["transcoder"] = services
    app.register_blueprint(jobs)
    app.register_blueprint(health)
    app.before_request(_name_request)
    if services.settings.is_development:
        app.before_request(_refuse_other_machines)
    app.after_request(_return_request_id)
    app.register_error_handler(HTTPException, _on_http_error)
    app.register_error_handler(JobRefused, _on_refused)
    app.register_error_handler(ValidationError, _on_invalid)
    for error in _ANSWERS:
        app.register_error_handler(error, _on_error)
    return app


@jobs.before_request
def authorise() -> JsonAnswer | None:
    """Refuse a request without the token, in a time that does not depend on the wrong token."""
    return _refuse_unless(_services().settings.tokens)


def _refuse_unless(tokens: Sequence[str]) -> JsonAnswer | None:
    given = request.headers.get("Authorization", "").encode("utf-8", "replace")
    if any(hmac.compare_digest(given, f"Bearer {token}".encode()) for token in tokens):
        return None
    return _error(HTTPStatus.UNAUTHORIZED, "unauthorized", "The bearer token is missing or wrong.")


@jobs.put("/<uuid:job_id>")
def put(job_id: UUID) -> JsonAnswer:
    """Create a job under the client's id, or return the job that has it."""
    services = _services()
    wanted = JobRequest.model_validate_json(_document())
    with session_of(services.engine) as session:
        job, created, wakes = put_job(
            session,
            job_id,
            wanted,
            g.request_id,
            storages=frozenset(services.storages),
            policy=services.settings.fetch_policy,
            has_room=services.has_room,
        )
    services.wake(wakes)
    return jsonify(job_view(job)), HTTPStatus.CREATED if created else HTTPStatus.OK


def _document() -> bytes:
    """Return the body, which is JSON within the bounds of all our documents."""
    body: bytes = request.get_data()
    try:
        read_document(body)
    except DocumentRefused as error:
        raise JobRefused("invalid_request", f"The body is refused: {error}.") from None
    return body


@jobs.get("/<uuid:job_id>")
def get(job_id: UUID) -> JsonAnswer:
    """Return a job."""
    with session_of(_services().engine) as session:
        return jsonify(job_view(get_job(session, job_id))), HTTPStatus.OK


@jobs.delete("/<uuid:job_id>")
def delete(job_id: UUID) -> JsonAnswer:
    """Cancel a job; a running encode stops within seconds."""
    with session_of(_services().engine) as session:
        job, cancelled = cancel_job(session, job_id)
    return jsonify(job_view(job)), HTTPStatus.ACCEPTED if cancelled else HTTPStatus.OK


@health.get("/metrics")
def metrics() -> Response | JsonAnswer:
    """Return the metrics, in Prometheus's text format."""
    settings = _services().settings
    own = settings.metrics_token
    tokens = (*settings.tokens, *([own.get_secret_value()] if own else []))
    refusal = _refuse_unless(tokens)
    if refusal is not None:
        return refusal
    return Response(exposition(_services()), content_type=CONTENT_TYPE_LATEST)


@health.get("/healthz")
def healthz() -> JsonAnswer:
    """Report that the process answers."""
    return jsonify(status="ok"), HTTPStatus.OK


@health.get("/readyz")
def readyz() -> JsonAnswer:
    """Report that jobs can be taken, which is so when the database takes writes."""
    with session_of(_services().engine) as session:
        if takes_writes(session):
            return jsonify(status="ready"), HTTPStatus.OK
    return _error(_AWAY, "unavailable", "The database takes no writes.", retryable=True)


def _services() -> TranscoderServices:
    services: TranscoderServices = current_app.extensions["transcoder"]
    return services


def _name_request() -> None:
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid4())


def _refuse_other_machines() -> JsonAnswer | None:
    if comes_from_here(request.environ):
        return None
    message = "This transcoder runs with development settings and serves its own machine alone."
    return _error(HTTPStatus.FORBIDDEN, "development_only", message)


def _return_request_id(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    return response


def _on_http_error(error: HTTPException) -> JsonAnswer:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    retryable = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    code = status.phrase.lower().replace(" ", "_")
    return _error(status, code, str(error.description), retryable=retryable)


def _on_refused(error: JobRefused) -> JsonAnswer:
    conflict = error.code == "job_conflict"
    status = HTTPStatus.CONFLICT if conflict else HTTPStatus.UNPROCESSABLE_ENTITY
    return _error(status, error.code, error.message)


def _on_error(error: Exception) -> JsonAnswer:
    status, code, message = next(_ANSWERS[kind] for kind in _ANSWERS if isinstance(error, kind))
    retryable = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if isinstance(error, OSError):
        _log.error("this machine failed: %r", error)
    answer, _ = _error(status, code, message, retryable=retryable)
    if isinstance(error, NoRoom):
        answer.headers["Retry-After"] = str(_ROOM_AFTER_SEC)
    return answer, status


def _on_invalid(error: ValidationError) -> JsonAnswer:
    problems = [
        f"{'.'.join(str(part) for part in problem['loc']) or 'body'}: {problem['msg']}"
        for problem in error.errors()
    ]
    return _error(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", "; ".join(problems))


def _error(status: HTTPStatus, code: str, message: str, *, retryable: bool = False) -> JsonAnswer:
    return jsonify(error=error_view(code, message, retryable=retryable)), status
