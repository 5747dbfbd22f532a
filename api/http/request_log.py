"""The id, the log line and the measured duration of every request."""

import re
import time
from uuid import uuid4

import structlog
from apiflask import APIFlask
from flask import Response, g, request
from prometheus_client import Histogram

from api.http.client_address import client_address

log = structlog.get_logger()

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
"""Accepted request ids of callers; other characters could forge lines in a log."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

DURATIONS = Histogram(
    "khronika_http_request_duration_seconds",
    "Time until the answer began, by route.",
    ["route", "method", "code"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


def register(app: APIFlask) -> None:
    """Give every request an id, and log and measure it when it ends."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.started = time.monotonic()
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else uuid4().hex
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _end(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    _record(response.status_code)
    return response


def _record(status_code: int) -> None:
    seconds = time.monotonic() - g.started
    # The rule, not the path: paths contain media tokens, and more ids than a metric can hold.
    route = request.url_rule.rule if request.url_rule else "unmatched"
    method = request.method if request.method in METHODS else "other"
    DURATIONS.labels(route, method, str(status_code)).observe(seconds)
    log.info(
        "request",
        route=route,
        method=method,
        status=status_code,
        duration_ms=round(seconds * 1000, 1),
        address=client_address(),
    )
