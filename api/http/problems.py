"""Errors as RFC 9457 problem documents: one table from domain errors to HTTP."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from flask import Response, current_app, g, request
from pydantic import ValidationError

from api.http.path_prefix import here
from pipeline.domain.errors import (
    Busy,
    Conflict,
    DomainError,
    Forbidden,
    LimitReached,
    NotFound,
    SignatureInvalid,
    TooLarge,
    Unprocessable,
)

MEDIA_TYPE = "application/problem+json"

STATUS_OF: Mapping[type[DomainError], HTTPStatus] = {
    NotFound: HTTPStatus.NOT_FOUND,
    Forbidden: HTTPStatus.FORBIDDEN,
    Conflict: HTTPStatus.CONFLICT,
    Busy: HTTPStatus.CONFLICT,
    Unprocessable: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    LimitReached: HTTPStatus.TOO_MANY_REQUESTS,
    SignatureInvalid: HTTPStatus.UNAUTHORIZED,
}
"""The HTTP status of each domain error."""

PRIVATE = frozenset({SignatureInvalid})
"""Errors whose members are not sent: the reason of a refused signature would help to forge one."""

RETRYABLE = frozenset(
    {
        "idempotency_in_flight",
        "upload_in_check",
        "too_many_checks",
        "too_much_at_once",
        "request_timeout",
        "status_changed",
        "upload_incomplete",
        "part_too_short",
        "part_missing",
        "checksum_mismatch",
        "database_unavailable",
        "callbacks_unavailable",
        "storage_unavailable",
        "issuer_unavailable",
        "internal_error",
        "token_expired",
        "rate_limited",
        "too_many_in_flight",
        "too_many_uploads",
        "quota_exceeded",
        "owner_busy",
        "stream_full",
        "ticket_expired",
    }
)
"""Codes after which the same request may succeed a little later."""

RETRY_AFTER_SEC = 5
"""``Retry-After`` if the database is unavailable: a restart or failover takes as long."""


class Problem(Exception):
    """An error answer.

    Attributes:
        status: The HTTP status.
        code: Machine-readable reason, stable.
        detail: One sentence for people.
        errors: One entry for each wrong member of the request: its path and a message.
        headers: Further headers of the answer.
        current: The current state that a request conflicts with. It is a member of its own,
            because ``status`` of a problem document is the HTTP status (RFC 9457, 3.1.2).
    """

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        current: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}
        self.current = current or {}


def from_domain(error: DomainError) -> Problem:
    """Return the problem of a domain error, by ``STATUS_OF``."""
    kind = next(kind for kind in STATUS_OF if isinstance(error, kind))
    current = {} if kind in PRIVATE else error.extra
    wait = {}
    if isinstance(error, LimitReached | Busy):
        wait["Retry-After"] = str(error.retry_after_sec)
    return Problem(STATUS_OF[kind], error.code, str(error), headers=wait, current=current)


def from_validation(error: ValidationError, location: str) -> Problem:
    """Return the problem of a request that does not match its schema.

    Args:
        location: ``json`` (errors carry a JSON Pointer) or ``query`` (they name the parameter).
    """
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "validation_failed",
        "The request does not match its schema; `errors` lists the wrong members.",
        errors=[
            {
                _path_member(location): _path(location, item["loc"]),
                "message": item["msg"].removeprefix("Value error, "),
            }
            for item in error.errors(include_url=False, include_input=False)
        ],
    )


def _path_member(location: str) -> str:
    return "pointer" if location == "json" else "parameter"


def _path(location: str, parts: Sequence[int | str]) -> str:
    names = [str(part) for part in parts]
    if location != "json":
        return ".".join(names)
    # RFC 6901: ~ and / are escaped; the leading # makes it the fragment form RFC 9457 shows.
    return "#" + "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)


def invalid(pointer: str, message: str, *, code: str = "validation_failed") -> Problem:
    """Return the problem of one member of the body, named by its JSON Pointer."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        code,
        message,
        errors=[{"pointer": f"#/{pointer}", "message": message}],
    )


def answer(problem: Problem) -> Response:
    """Return the answer of a problem."""
    document = {
        "type": f"urn:khronika:problem:{problem.code}",
        "title": problem.code.replace("_", " ").capitalize(),
        "status": int(problem.status),
        "detail": problem.detail,
        "instance": here(request.path),
        "code": problem.code,
        "retryable": problem.code in RETRYABLE,
        "request_id": g.get("request_id"),
        "errors": list(problem.errors),
    }
    if problem.current:
        document["current"] = dict(problem.current)
    response = Response(
        current_app.json.dumps(document), int(problem.status), content_type=MEDIA_TYPE
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers.update(problem.headers)
    return response
