"""Who did what: the audit, page by page."""

from flask import Response, request

from api.ops.pages import console_blueprint, number, page, reading, words
from pipeline.operations import console_audit

blueprint = console_blueprint("ops_audit", __name__)

PAGE = 50


@blueprint.get("/audit")
def listed() -> Response:
    """Show what operators did; with ``everything``, also callbacks that were turned away."""
    wanted = console_audit.AuditFilter(
        actor=words("actor"), everything="everything" in request.args
    )
    with reading() as session:
        found = console_audit.page(session, wanted, before=number("before"), limit=PAGE + 1)
    shown = found[:PAGE]
    return page(
        "audit.html",
        wanted=wanted,
        entries=shown,
        next_place=shown[-1].id if len(found) > PAGE else None,
    )
