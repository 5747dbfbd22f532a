"""The handlers that turn every exception of a request into a problem document."""

from http import HTTPStatus

import structlog
from apiflask import APIFlask, HTTPError
from flask import Response
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from api.http.problems import RETRY_AFTER_SEC, Problem, answer, from_domain, from_validation
from pipeline.domain.errors import DomainError, StaleTransition
from pipeline.runtime.database import DATABASE_AWAY

log = structlog.get_logger()

DETAILS = {
    HTTPStatus.BAD_REQUEST: ("bad_request", "The request could not be understood."),
    HTTPStatus.NOT_FOUND: ("not_found", "There is nothing at this address."),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "method_not_allowed",
        "This address does not support this method; the Allow header lists the supported ones.",
    ),
    HTTPStatus.REQUEST_TIMEOUT: ("request_timeout", "The request took too long to arrive."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
        "body_too_large",
        "The body is larger than this address accepts.",
    ),
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: (
        "range_not_satisfiable",
        "The object has no byte in this range; Content-Range gives its size.",
    ),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: (
        "unsupported_media_type",
        "The body must be JSON: Content-Type application/json.",
    ),
}
"""Code and sentence of each error that the framework raises."""


def register(app: APIFlask) -> None:
    """Answer every exception with a problem document."""
    app.register_error_handler(Problem, answer)
    app.register_error_handler(DomainError, _domain)
    app.register_error_handler(StaleTransition, _stale)
    app.register_error_handler(HTTPError, _refused_by_apiflask)
    app.register_error_handler(HTTPException, _refused_by_flask)
    for away in DATABASE_AWAY:
        app.register_error_handler(away, _database_away)
    app.register_error_handler(OSError, _storage_away)
    app.register_error_handler(Exception, _unexpected)


def _domain(error: DomainError) -> Response:
    return answer(from_domain(error))


def _stale(error: StaleTransition) -> Response:
    return answer(Problem(HTTPStatus.CONFLICT, "status_changed", str(error)))


def _refused_by_apiflask(error: HTTPError) -> Response:
    # APIFlask keeps pydantic's own error as the cause; its flattened copy loses the path.
    if isinstance(error.__cause__, ValidationError):
        location = next(iter(error.detail), "json")
        return answer(from_validation(error.__cause__, location))
    return answer(_plain(error.status_code))


def _refused_by_flask(error: HTTPException) -> Response:
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return Response(status=error.code, headers=error.get_headers())
    headers = {k: v for k, v in error.get_headers() if k.lower() != "content-type"}
    return answer(_plain(error.code, headers))


def _plain(status_code: int, headers: dict[str, str] | None = None) -> Problem:
    status = HTTPStatus(status_code)
    code, detail = DETAILS.get(
        status, (status.phrase.lower().replace(" ", "_"), f"{status.phrase}.")
    )
    return Problem(status, code, detail, headers=headers)


def _database_away(error: Exception) -> Response:
    # The driver's message contains hosts and sometimes values: only its class is logged.
    cause = getattr(error, "orig", None) or error
    log.error("database_unavailable", error=type(cause).__name__)
    return answer(
        Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "database_unavailable",
            "The database is unavailable; the request may not have been carried out. "
            "Try again shortly.",
            headers={"Retry-After": str(RETRY_AFTER_SEC)},
        )
    )


def _storage_away(error: OSError) -> Response:
    # A full or unmounted disk: the same request may succeed later.
    log.error("storage_unavailable", exc_info=error)
    return answer(
        Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "storage_unavailable",
            "The storage is unavailable; nothing was stored. Try again shortly.",
            headers={"Retry-After": str(RETRY_AFTER_SEC)},
        )
    )


def _unexpected(error: Exception) -> Response:
    log.error("request_failed", exc_info=error)
    return answer(
        Problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "internal_error",
            "An internal error occurred; report it with the request id.",
        )
    )
