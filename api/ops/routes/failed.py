"""The failed list: what failed, grouped by why, page by page."""

from flask import Response

from api.ops.filters import AGES, asked
from api.ops.pages import console_blueprint, cursor, live_page, place, reading, words
from api.wiring.services import services
from pipeline.domain.failures import failure_of
from pipeline.operations import console_failed
from pipeline.records.queries import PageCursor

blueprint = console_blueprint("ops_failed", __name__)

PAGE = 50


@blueprint.get("/failed")
def listed() -> Response:
    """Show the groups, and the videos of the chosen one."""
    chosen, before = asked(), place(words("before"))
    with reading() as session:
        wanted = chosen.at(console_failed.database_time(session))
        groups = console_failed.groups(session, wanted)
        # One more than shown tells whether another page follows.
        found = console_failed.page(session, wanted, before=before, limit=PAGE + 1)
    shown = found[:PAGE]
    last = shown[-1] if len(found) > PAGE else None
    return live_page(
        "failed.html",
        asked=chosen,
        groups=groups,
        total=sum(group.total for group in groups if chosen.code in (None, group.code)),
        assets=shown,
        next_place=cursor(PageCursor(last.updated_at, last.id)) if last else None,
        is_first=before is None,
        ages=AGES,
        providers=sorted(services().providers),
        failure_of=failure_of,
    )
