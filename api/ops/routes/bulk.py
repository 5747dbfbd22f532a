"""The pages of a bulk retry: its preview, its batches, its outcome."""

from uuid import UUID

from flask import Response, request

from api.ops import bulk_runs
from api.ops.failed_query import read_failed_query
from api.ops.pages import console_blueprint, page, read_transaction, see_other, unknown_parameter
from api.ops.routes.failed import PAGE
from pipeline.domain.failures import failure_of
from pipeline.operations import console_failed
from pipeline.runtime.ids import read_id

blueprint = console_blueprint("ops_bulk", __name__)

SAMPLE = 10


@blueprint.get("/failed/retry")
def preview() -> Response:
    """Show the number of videos that would be retried, and a sample; change nothing."""
    query, ids = read_failed_query(), _ids()
    with read_transaction() as session:
        wanted = query.at(console_failed.database_time(session))
        if ids is None:
            matched = console_failed.count(session, wanted)
            sample = console_failed.page(session, wanted, before=None, limit=SAMPLE)
        else:
            sample = console_failed.still_failed(session, ids)
            matched = len(sample)
    run = bulk_runs.preview(wanted, ids and [asset.id for asset in sample], matched)
    return page(
        "bulk_preview.html",
        asked=query,
        run=run,
        signed=bulk_runs.sign(run),
        sample=sample[:SAMPLE],
        counted=console_failed.COUNTED,
        failure_of=failure_of,
    )


@blueprint.post("/failed/retry")
def advance() -> Response:
    """Retry the next batches of the preview, and show the progress."""
    run = bulk_runs.advance(bulk_runs.read(request.form.get("run")))
    return see_other(f"/ops/failed/retry/outcome?run={bulk_runs.sign(run)}")


@blueprint.get("/failed/retry/outcome")
def outcome() -> Response:
    """Show the numbers of retried and skipped videos."""
    run = bulk_runs.read(request.args.get("run"))
    return page(
        "bulk_outcome.html", run=run, signed=bulk_runs.sign(run), counted=console_failed.COUNTED
    )


def _ids() -> list[UUID] | None:
    """Return the ticked videos; None if all that match are chosen.

    Raises:
        Problem: 422 ``validation_failed``.
    """
    if "all" in request.args:
        return None
    try:
        return [read_id(text) for text in request.args.getlist("asset")[:PAGE]]
    except ValueError:
        raise unknown_parameter("asset") from None
