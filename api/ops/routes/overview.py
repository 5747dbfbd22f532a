"""The console's first page, with the state of the whole, and the search for a video by an id."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

import structlog
from flask import Response, abort
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api.monitoring.prometheus import QUEUES
from api.ops.pages import (
    console_blueprint,
    live_page,
    page,
    query_text,
    read_transaction,
    see_other,
)
from api.wiring.services import services
from pipeline.domain.rollout import name_of
from pipeline.domain.states import Status
from pipeline.domain.values import DeliveryStatus
from pipeline.limits import circuit_breaker
from pipeline.operations import console_inbox, console_overview, console_search, metrics
from pipeline.operations.rollout_stage import read_percent

blueprint = console_blueprint("ops", __name__)

log = structlog.get_logger()

Read = TypeVar("Read")


@blueprint.get("")
def home() -> Response:
    """Show videos by state, queues, times, providers, spend and quotas."""
    here = services()
    counts = _read(metrics.assets_by_status)
    return live_page(
        "overview.html",
        states=None if counts is None else {each.value: counts.get(each, 0) for each in Status},
        rollout=_read(_rollout),
        backlogs=_read(metrics.backlogs),
        messages=here.publisher.depths(QUEUES),
        publishing_paused=here.publisher.is_paused,
        ready=_read(console_overview.time_to_ready),
        ended=_read(console_overview.endings),
        answers=_read(console_overview.attempt_outcomes),
        breakers=_read(circuit_breaker.all_breakers),
        accounts=sorted(here.providers),
        held=_read(console_overview.held_videos),
        spend=_read(metrics.spend_by_provider),
        spend_limits={
            name: here.settings.accounts.spend_limits(name, here.settings.spend.limits)
            for name in here.providers
        },
        dead=_read(lambda session: console_inbox.count(session, DeliveryStatus.DEAD)),
        unread=_read(lambda session: console_inbox.count(session, DeliveryStatus.NEW)),
        quotas=_quotas(),
    )


def _read(read: Callable[[Session], Read]) -> Read | None:
    """Return a figure, read in a transaction of its own; None if it cannot be read in time.

    A failing figure must not hide the others: operators open this page when things fail.
    """
    try:
        with read_transaction() as session:
            return read(session)
    except SQLAlchemyError as error:
        log.warning("console_figure_missing", error=type(error).__name__)
        return None


def _rollout(session: Session) -> str:
    return name_of(read_percent(session))


def _quotas() -> dict[str, Any]:
    limits = services().settings.owner_limits
    return {
        "videos in flight": limits.max_live,
        "uploads without a video": limits.max_uploads,
        "videos a day": limits.daily_assets,
        "bytes a day": limits.daily_bytes,
        "seconds a day": limits.daily_media_sec,
    }


@blueprint.get("/search")
def find() -> Response:
    """Redirect to the video that an id belongs to; list the videos if there are several."""
    text = query_text("q")
    if text is None:
        return page("search.html", asked="", found=[])
    with read_transaction() as session:
        found = console_search.find(session, text)
    if len(found) == 1:
        return see_other(f"/ops/assets/{found[0].id}")
    status = HTTPStatus.OK if found else HTTPStatus.NOT_FOUND
    return page("search.html", status, asked=text, found=found)


@blueprint.get("/<path:_rest>")
def not_found(_rest: str) -> Response:
    """Answer an unknown address with a page of the console."""
    abort(404)
