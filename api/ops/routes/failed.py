"""The failed list: groups by error code, and pages of videos."""

from flask import Response

from api.ops.failed_query import AGES, read_failed_query
from api.ops.pages import (
    console_blueprint,
    live_page,
    query_text,
    read_cursor,
    read_transaction,
    write_cursor,
)
from api.wiring.services import services
from pipeline.domain.failures import failure_of
from pipeline.operations import console_failed
from pipeline.records.queries import PageCursor

blueprint = console_blueprint("ops_failed", __name__)

PAGE = 50


@blueprint.get("/failed")
def show_list() -> Response:
    """Show the groups, and the videos of the chosen one."""
    query, before = read_failed_query(), read_cursor(query_text("before"))
    with read_transaction() as session:
        wanted = query.at(console_failed.database_time(session))
        groups = console_failed.groups(session, wanted)
        # One row more than a page shows that another page follows.
        found = console_failed.page(session, wanted, before=before, limit=PAGE + 1)
    shown = found[:PAGE]
    last = shown[-1] if len(found) > PAGE else None
    return live_page(
        "failed.html",
        asked=query,
        groups=groups,
        total=sum(group.total for group in groups if query.code in (None, group.code)),
        assets=shown,
        next_place=write_cursor(PageCursor(last.updated_at, last.id)) if last else None,
        is_first=before is None,
        ages=AGES,
        providers=sorted(services().providers),
        failure_of=failure_of,
    )
