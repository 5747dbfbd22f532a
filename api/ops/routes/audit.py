"""The pages of the audit."""

from flask import Response, request

from api.ops.pages import console_blueprint, page, query_number, query_text, read_transaction
from pipeline.operations import console_audit

blueprint = console_blueprint("ops_audit", __name__)

PAGE = 50


@blueprint.get("/audit")
def show_list() -> Response:
    """Show the actions of operators; with ``everything``, also rejected callbacks."""
    wanted = console_audit.AuditFilter(
        actor=query_text("actor"), everything="everything" in request.args
    )
    with read_transaction() as session:
        found = console_audit.page(session, wanted, before=query_number("before"), limit=PAGE + 1)
    shown = found[:PAGE]
    return page(
        "audit.html",
        wanted=wanted,
        entries=shown,
        next_place=shown[-1].id if len(found) > PAGE else None,
    )
