"""The common parts of the console's pages: access, headers, refusals, queries."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from posixpath import normpath
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from uuid import UUID

import structlog
from apiflask import APIBlueprint
from flask import Response, g, redirect, render_template, request
from flask_limiter import RateLimitExceeded
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from api.access.caller import Role
from api.http.path_prefix import here
from api.http.problems import Problem, from_domain
from api.http.security_headers import page_policy
from api.ops.session import PATH, caller_in, current_session, require_csrf
from api.ops.text_formats import FILTERS
from api.wiring.services import services
from pipeline.domain.errors import DomainError
from pipeline.operations import metrics
from pipeline.records.queries import PageCursor
from pipeline.runtime.database import DATABASE_AWAY, session_of

log = structlog.get_logger()

SIGN_IN = f"{PATH}/sign-in"
FRAGMENT_HEADER = "X-Fragment"
"""The request header of web/ops.js, which requests only the live parts of a page."""


def console_blueprint(name: str, import_name: str, *, is_open: bool = False) -> APIBlueprint:
    """Return the blueprint of a part of the console.

    Args:
        is_open: True if it needs no session.
    """
    blueprint = APIBlueprint(name, import_name, url_prefix=PATH, enable_openapi=False)
    blueprint.before_request(_require_operators)
    blueprint.before_request(_read_session if is_open else _require_session)
    blueprint.after_request(_add_headers)
    for kind in (Problem, DomainError, RateLimitExceeded, HTTPException):
        blueprint.register_error_handler(kind, _refuse)
    for away in DATABASE_AWAY:
        blueprint.register_error_handler(away, _database_away)
    for word, write in FILTERS.items():
        blueprint.add_app_template_filter(write, word)
    return blueprint


def _require_operators() -> None:
    services().engines.require_operators()


def _read_session() -> None:
    g.ops_session = current_session()
    g.caller = caller_in(g.ops_session)
    if request.method == "POST":
        require_csrf()


def _require_session() -> Response | None:
    g.ops_session = current_session()
    g.caller = caller_in(g.ops_session)
    if g.caller is None:
        target = request.full_path.rstrip("?") if request.method == "GET" else PATH
        return see_other(f"{SIGN_IN}?next={quote(target, safe='')}")
    if request.method == "POST":
        require_csrf()
        if g.caller.role is not Role.OPERATOR:
            raise Problem(
                HTTPStatus.FORBIDDEN, "role_not_allowed", "Your role may read, not change anything."
            )
    return None


def _add_headers(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _policy()
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Cookie")
    response.vary.add(FRAGMENT_HEADER)
    return response


def _policy() -> str:
    """Return the policy of our pages; media may come from another public address than this."""
    parts = urlsplit(services().settings.media_urls.base_url)
    public = f"{parts.scheme}://{parts.netloc}"
    return page_policy() if public == request.host_url.rstrip("/") else page_policy(public)


def page(template: str, status: HTTPStatus = HTTPStatus.OK, **shown: Any) -> Response:
    """Return a page, from ``templates/ops``."""
    html = render_template(
        f"ops/{template}",
        who=g.get("caller"),
        csrf=g.ops_session.csrf if g.get("ops_session") else "",
        may_act=g.get("caller") is not None and g.caller.role is Role.OPERATOR,
        **shown,
    )
    return Response(html, int(status), content_type="text/html; charset=utf-8")


def live_page(template: str, **shown: Any) -> Response:
    """Return a page; if only its live parts are requested, return them alone, or 304.

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
    """Redirect to an address of the console, which is read with GET; the answer to a form."""
    location = redirect(here(address)).location
    return Response(status=HTTPStatus.SEE_OTHER, headers={"Location": location})


def console_address(address: str | None) -> str:
    """Return the address if it is one of the console's, else the console's first page.

    The page to sign in is none: a link there would sign the operator in as somebody else.
    """
    parts = urlsplit(address or "")
    path = unquote(parts.path)  # a browser reads `%2e%2e` as `..`
    is_ours = (path == PATH or path.startswith(f"{PATH}/")) and path == normpath(path)
    is_plain = path.isprintable() and not {"\\", "%"} & set(path)
    is_printable = unquote(address or "").isprintable()  # urlsplit drops some control characters
    leads_away = bool(parts.scheme or parts.netloc) or path == SIGN_IN
    if leads_away or not (is_ours and is_plain and is_printable):
        return PATH
    return parts._replace(fragment="").geturl()


@contextmanager
def read_transaction() -> Iterator[Session]:
    """Open a transaction of the operators' login, whose statements have a timeout."""
    with session_of(services().engines.operator) as session:
        metrics.limit_statements(session)
        yield session


def write_cursor(place: tuple[datetime, UUID]) -> str:
    """Return the end of a page as a text for an address."""
    at, row_id = place
    return urlsafe_b64encode(f"{at.isoformat()} {row_id}".encode()).decode()


def read_cursor(text: str | None) -> PageCursor | None:
    """Return the start of a page; None for the first page.

    Raises:
        Problem: 422 ``validation_failed``.
    """
    if not text:
        return None
    try:
        at, _, row_id = urlsafe_b64decode(text).decode().rpartition(" ")
        found = PageCursor(datetime.fromisoformat(at), UUID(row_id))
    except ValueError:
        raise unknown_parameter("before") from None
    if found.updated_at.tzinfo is None:
        raise unknown_parameter("before")
    return found


def query_number(name: str) -> int | None:
    """Return a whole number of the query; None if it is absent.

    Raises:
        Problem: 422 ``validation_failed``.
    """
    text = request.args.get(name)
    if not text:
        return None
    if not text.isdecimal() or len(text) > len(str(2**62)):
        raise unknown_parameter(name)
    return int(text)


def query_text(name: str, longest: int = 200) -> str | None:
    """Return a text of the query; None if it is absent."""
    text = request.args.get(name, "").strip()[:longest].replace("\0", "")
    return text or None


def unknown_parameter(parameter: str) -> Problem:
    """Return the refusal of a query that no page of ours makes."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "validation_failed",
        f"This is no address of the console: the value of {parameter} is not valid.",
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
        "The database does not answer, or not in time. Try again, or use a narrower filter.",
    )
    return page("refused.html", problem.status, problem=problem, request_id=g.request_id)
