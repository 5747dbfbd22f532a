"""Retrying many failed videos: a preview first, then batch by batch, then what became of them."""

from uuid import UUID

from flask import Response, request

from api.ops import bulk_runs
from api.ops.filters import asked
from api.ops.pages import console_blueprint, page, reading, see_other, wrong
from api.ops.routes.failed import PAGE
from pipeline.domain.failures import failure_of
from pipeline.operations import console_failed

blueprint = console_blueprint("ops_bulk", __name__)

SAMPLE = 10


@blueprint.get("/failed/retry")
def preview() -> Response:
    """Show how many would be retried and a sample of them; change nothing."""
    chosen, ids = asked(), _ids()
    with reading() as session:
        wanted = chosen.at(console_failed.database_time(session))
        if ids is None:
            matched = console_failed.count(session, wanted)
            sample = console_failed.page(session, wanted, before=None, limit=SAMPLE)
        else:
            sample = console_failed.still_failed(session, ids)
            matched = len(sample)
    run = bulk_runs.preview(wanted, ids and [asset.id for asset in sample], matched)
    return page(
        "bulk_preview.html",
        asked=chosen,
        run=run,
        signed=bulk_runs.sign(run),
        sample=sample[:SAMPLE],
        counted=console_failed.COUNTED,
        failure_of=failure_of,
    )


@blueprint.post("/failed/retry")
def advance() -> Response:
    """Do the next batches of what was previewed, and show how far it has come."""
    run = bulk_runs.advance(bulk_runs.read(request.form.get("run")))
    return see_other(f"/ops/failed/retry/outcome?run={bulk_runs.sign(run)}")


@blueprint.get("/failed/retry/outcome")
def outcome() -> Response:
    """Show what was retried and what was skipped."""
    run = bulk_runs.read(request.args.get("run"))
    return page(
        "bulk_outcome.html", run=run, signed=bulk_runs.sign(run), counted=console_failed.COUNTED
    )


def _ids() -> list[UUID] | None:
    """The videos that were ticked; None where all that match are meant.

    Raises:
        Problem: 422 ``validation_failed``.
    """
    if "all" in request.args:
        return None
    try:
        return [UUID(given) for given in request.args.getlist("asset")[:PAGE]]
    except ValueError:
        raise wrong("asset") from None
