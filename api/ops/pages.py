"""What all pages of the console share: who may see them, their headers, how they refuse."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

import structlog
from apiflask import APIBlueprint
from flask import Response, g, redirect, render_template, request
from flask_limiter import RateLimitExceeded
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from api.access.caller import Role
from api.http.problems import Problem, from_domain
from api.http.security_headers import PAGE, page_with
from api.ops.session import PATH, caller_in, current, require_csrf
from api.ops.words import FILTERS
from api.wiring.services import services
from pipeline.domain.errors import DomainError
from pipeline.operations import metrics
from pipeline.records.queries import PageCursor
from pipeline.runtime.database import session_of

log = structlog.get_logger()

SIGN_IN = f"{PATH}/sign-in"
FRAGMENT_HEADER = "X-Fragment"
"""Sent by web/ops.js, which wants the live parts of a page alone."""


def console_blueprint(name: str, import_name: str, *, is_open: bool = False) -> APIBlueprint:
    """A part of the console.

    Args:
        is_open: Whether those may see it who have not signed in.
    """
    blueprint = APIBlueprint(name, import_name, url_prefix=PATH, enable_openapi=False)
    blueprint.before_request(_require_operators)
    blueprint.before_request(_read_session if is_open else _let_in)
    blueprint.after_request(_seal)
    for kind in (Problem, DomainError, RateLimitExceeded, HTTPException):
        blueprint.register_error_handler(kind, _refuse)
    for away in (OperationalError, InterfaceError, PoolTimeout):
        blueprint.register_error_handler(away, _database_away)
    for word, write in FILTERS.items():
        blueprint.add_app_template_filter(write, word)
    return blueprint


def _require_operators() -> None:
    services().engines.require_operators()


def _read_session() -> None:
    g.ops_session = current()
    g.caller = caller_in(g.ops_session)
    if request.method == "POST":
        require_csrf()


def _let_in() -> Response | None:
    g.ops_session = current()
    g.caller = caller_in(g.ops_session)
    if g.caller is None:
        came_for = request.full_path.rstrip("?") if request.method == "GET" else PATH
        return _to(f"{SIGN_IN}?next={quote(came_for, safe='')}")
    if request.method == "POST":
        require_csrf()
        if g.caller.role is not Role.OPERATOR:
            raise Problem(
                HTTPStatus.FORBIDDEN, "role_not_allowed", "You may look, and change nothing."
            )
    return None


def _seal(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _policy()
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Cookie")
    response.vary.add(FRAGMENT_HEADER)
    return response


def _policy() -> str:
    """That of our pages; media come from the public address, which may be another than this."""
    parts = urlsplit(services().settings.media_urls.base_url)
    public = f"{parts.scheme}://{parts.netloc}"
    return PAGE if public == request.host_url.rstrip("/") else page_with(public)


def page(template: str, status: HTTPStatus = HTTPStatus.OK, **shown: Any) -> Response:
    """A page, from ``templates/ops``."""
    html = render_template(
        f"ops/{template}",
        who=g.get("caller"),
        csrf=g.ops_session.csrf if g.get("ops_session") else "",
        may_act=g.get("caller") is not None and g.caller.role is Role.OPERATOR,
        **shown,
    )
    return Response(html, int(status), content_type="text/html; charset=utf-8")


def live_page(template: str, **shown: Any) -> Response:
    """A page whose live parts are asked for again and again: those alone, or 304, if they are.

    Args:
        template: The page; its live parts are ``_{template}``.
    """
    if FRAGMENT_HEADER not in request.headers:
        return page(template, **shown)
    part = page(f"_{template}", **shown)
    part.add_etag(weak=True)
    part.make_conditional(request)
    return part


def see_other(address: str) -> Response:
    """Go there, and ask with GET: what a form is answered with."""
    return _to(address)


def _to(address: str) -> Response:
    return Response(status=HTTPStatus.SEE_OTHER, headers={"Location": redirect(address).location})


def local(address: str | None) -> str:
    """The address if it is one of the console's, else where the console begins."""
    parts = urlsplit(address or "")
    is_ours = parts.path == PATH or parts.path.startswith(f"{PATH}/")
    if parts.scheme or parts.netloc or not is_ours or "\\" in parts.path or ".." in parts.path:
        return PATH
    return parts._replace(fragment="").geturl()


@contextmanager
def reading() -> Iterator[Session]:
    """A transaction of the operators' login whose statements end in time."""
    with session_of(services().engines.operator) as session:
        metrics.limit_statements(session)
        yield session


def cursor(place: tuple[datetime, UUID]) -> str:
    """Where a page ended, as a word of an address."""
    at, row_id = place
    return urlsafe_b64encode(f"{at.isoformat()} {row_id}".encode()).decode()


def place(given: str | None) -> PageCursor | None:
    """Where a page begins; None for the beginning.

    Raises:
        Problem: 422 ``validation_failed``.
    """
    if not given:
        return None
    try:
        at, _, row_id = urlsafe_b64decode(given).decode().rpartition(" ")
        found = PageCursor(datetime.fromisoformat(at), UUID(row_id))
    except ValueError:
        raise wrong("before") from None
    if found.updated_at.tzinfo is None:
        raise wrong("before")
    return found


def number(name: str) -> int | None:
    """A whole number of the query; None where it has none.

    Raises:
        Problem: 422 ``validation_failed``.
    """
    given = request.args.get(name)
    if not given:
        return None
    if not given.isdecimal() or len(given) > len(str(2**62)):
        raise wrong(name)
    return int(given)


def words(name: str, longest: int = 200) -> str | None:
    """A text of the query; None where it has none."""
    given = request.args.get(name, "").strip()[:longest].replace("\0", "")
    return given or None


def wrong(parameter: str) -> Problem:
    """The refusal of a query that no page of ours makes."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "validation_failed",
        f"The address is not one of this console's: {parameter} means nothing.",
    )


def _refuse(error: Exception) -> Response:
    problem = _problem(error)
    refused = page("refused.html", problem.status, problem=problem, request_id=g.request_id)
    refused.headers.update(problem.headers)
    return refused


def _problem(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case DomainError():
            return from_domain(error)
        case RateLimitExceeded():
            return Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                "rate_limited",
                "Too many tokens were tried from your address. Wait a minute and try again.",
                headers={"Retry-After": "60"},
            )
        case HTTPException(code=int(code)) if code >= HTTPStatus.BAD_REQUEST:
            status = HTTPStatus(code)
            return Problem(status, status.name.lower(), f"{status.phrase}.")
    raise error


def _database_away(error: SQLAlchemyError) -> Response:
    cause = getattr(error, "orig", None) or error
    log.error("database_unavailable", error=type(cause).__name__)
    problem = Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "database_unavailable",
        "The database does not answer, or not in time. Try again, or narrow the question.",
    )
    return page("refused.html", problem.status, problem=problem, request_id=g.request_id)
