"""Answers to requests that never reach the application: broken, too large or too slow."""

import json
from typing import NamedTuple
from uuid import uuid4

from gunicorn.http import errors  # type: ignore[import-untyped]


class RefusedRequest(NamedTuple):
    """The answer to a refused request."""

    status: int
    reason: str
    code: str
    detail: str

    def to_bytes(self) -> bytes:
        """Return the answer, an RFC 9457 problem document, after which the connection closes."""
        request_id = uuid4().hex
        document = {
            "type": f"urn:khronika:problem:{self.code}",
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "retryable": self is TOO_SLOW,
            "request_id": request_id,
            "errors": [],
        }
        body = json.dumps(document).encode()
        head = (
            f"HTTP/1.1 {self.status} {self.reason}\r\n"
            "Connection: close\r\n"
            "Content-Type: application/problem+json\r\n"
            f"Content-Length: {len(body)}\r\n"
            "Cache-Control: no-store\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            f"X-Request-Id: {request_id}\r\n\r\n"
        )
        return head.encode() + body


TOO_SLOW = RefusedRequest(
    408, "Request Timeout", "request_timeout", "The request took too long to arrive."
)
MALFORMED = RefusedRequest(400, "Bad Request", "bad_request", "The request breaks HTTP's rules.")
HEAD_TOO_LARGE = RefusedRequest(
    431, "Request Header Fields Too Large", "head_too_large", "The request's headers are too large."
)
_OTHERS = {
    errors.LimitRequestLine: RefusedRequest(
        414, "URI Too Long", "address_too_long", "The request's address is too long."
    ),
    errors.LimitRequestHeaders: HEAD_TOO_LARGE,
    errors.ExpectationFailed: RefusedRequest(
        417, "Expectation Failed", "expectation_failed", "Only 100-continue can be expected."
    ),
    errors.UnsupportedTransferCoding: RefusedRequest(
        501, "Not Implemented", "coding_unsupported", "The only transfer coding is chunked."
    ),
}
_OURS = (
    errors.ConfigurationProblem,
    errors.InvalidResponseHeader,
    errors.InvalidResponseHeaderName,
)


def refusal_of(error: BaseException) -> RefusedRequest | None:
    """Return the answer to a request that raised this error; None if the client is not at fault."""
    if isinstance(error, _OURS) or not isinstance(error, errors.ParseException):
        return None
    return next(
        (refused for kind, refused in _OTHERS.items() if isinstance(error, kind)), MALFORMED
    )
