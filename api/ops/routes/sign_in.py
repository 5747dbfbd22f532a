"""The pages to sign in to the console with a token, a key or a link, and to sign out."""

from datetime import UTC, datetime
from http import HTTPStatus

from flask import Response, g, request
from sqlalchemy.orm import Session

from api.access.audit import audit_operator
from api.access.caller import OF_ROLES, Caller, Role, identify
from api.access.refused_sign_ins import audit_refused_sign_in
from api.access.request_limits import Policy, limited_by_address
from api.http.problems import Problem
from api.ops.pages import SIGN_IN, console_address, console_blueprint, page, see_other
from api.ops.session import (
    ConsoleSession,
    anonymous_session,
    begin_session,
    end_session,
    remove_cookie,
    store_session,
)
from api.wiring.services import services
from pipeline.access.operator_links import LinkInvalid, OperatorLink, read_link, use_link
from pipeline.domain.audit_types import AuditType
from pipeline.runtime.database import session_of

blueprint = console_blueprint("ops_sign_in", __name__, is_open=True)


@blueprint.get("/sign-in")
def form() -> Response:
    """Show the form; opening a link shows the operator it signs in, without using it up."""
    return _form(HTTPStatus.OK, token=request.args.get("link"))


@blueprint.post("/sign-in")
@limited_by_address(Policy.SIGN_IN)
def sign_in() -> Response:
    """Begin a session with a pasted token or key, or with a link."""
    try:
        session = _begin()
    except Problem as refused:
        if refused.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            _audit_refusal(refused)
        return _form(refused.status, refused=refused)
    response = see_other(console_address(request.form.get("next")))
    store_session(response, session)
    return response


@blueprint.post("/sign-out")
def sign_out() -> Response:
    """End the session, for every copy of its cookie."""
    if g.caller is not None:
        with session_of(services().engines.operator) as database:
            end_session(database, g.ops_session)
            audit_operator(database, AuditType.SIGNED_OUT)
    response = see_other(SIGN_IN)
    remove_cookie(response)
    return response


def _form(
    status: HTTPStatus, *, token: str | None = None, refused: Problem | None = None
) -> Response:
    g.ops_session = g.ops_session or anonymous_session()
    link = None
    if token is not None:
        try:
            link = _read(token)
        except Problem as error:
            status, refused = error.status, error
    response = page(
        "sign_in.html",
        status,
        next=console_address(request.values.get("next")),
        link=link,
        token=token,
        refused=refused,
    )
    store_session(response, g.ops_session)
    return response


def _begin() -> ConsoleSession:
    link = request.form.get("link")
    if link is not None:
        return _with_link(link)
    return _with_token(request.form.get("token", "").strip())


def _with_token(token: str) -> ConsoleSession:
    who = identify(f"Bearer {token}", services())
    session = begin_session(who, token)
    with session_of(services().engines.operator) as database:
        _audit_sign_in(database, who, "token" if session.key_id is None else "key")
    return session


def _with_link(given: str) -> ConsoleSession:
    link = _read(given)
    role = Role.READER if link.reads_only else Role.OPERATOR
    who = Caller(link.subject, role, OF_ROLES[role])
    with session_of(services().engines.operator) as database:
        try:
            use_link(database, link)
        except LinkInvalid:
            raise _invalid_link() from None
        _audit_sign_in(database, who, "link")
    return begin_session(who)


def _audit_sign_in(database: Session, who: Caller, how: str) -> None:
    g.caller = who
    audit_operator(database, AuditType.SIGNED_IN, role=who.role.value, how=how)


def _audit_refusal(refused: Problem) -> None:
    # `identify` has recorded this one, for every route.
    if refused.code != "role_not_trusted":
        audit_refused_sign_in(refused.code)


def _read(given: str) -> OperatorLink:
    key = services().settings.media_urls.accepted_keys
    try:
        return read_link(key, given, now=datetime.now(UTC))
    except LinkInvalid:
        raise _invalid_link() from None


def _invalid_link() -> Problem:
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        "link_invalid",
        "This link has expired or was used. `khronika ops-link` makes another.",
    )
