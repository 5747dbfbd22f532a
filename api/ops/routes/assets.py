"""The page of one video: its state, chronicle, outputs, callbacks and actions."""

from urllib.parse import urlsplit
from uuid import UUID

from flask import Response, request

from api.access.audit import audit_media
from api.documents.present import asset_out
from api.documents.schemas import AssetOut
from api.ops.actions import ACTIONS, DONE, is_allowed
from api.ops.pages import (
    FRAGMENT_HEADER,
    console_blueprint,
    live_page,
    query_number,
    read_transaction,
    write_cursor,
)
from api.wiring.services import services
from pipeline.domain.failures import failure_of
from pipeline.domain.hold_reasons import sentence_of
from pipeline.operations import console_assets, console_inbox
from pipeline.operations.console_timeline import Window, timeline

blueprint = console_blueprint("ops_assets", __name__)

EVENTS = 100
DELIVERIES = 20


@blueprint.get("/assets/<uuid:asset_id>")
def show(asset_id: UUID) -> Response:
    """Show a video, even a deleted one, with a page of its chronicle."""
    failures_only = "failures" in request.args
    window = Window(before=query_number("before"), after=query_number("after"))
    with read_transaction() as session:
        asset = console_assets.asset(session, asset_id)
        chronicle = timeline(session, asset_id, window, failures_only=failures_only, limit=EVENTS)
        of_asset = console_inbox.AssetFilter(asset_id)
        deliveries = console_inbox.page(session, of_asset, before=None, limit=DELIVERIES + 1)
        attempts = console_assets.attempts(session, asset_id)
        outputs = console_assets.outputs(session, asset_id)
        upload = console_assets.upload(session, asset)
        document = asset_out(asset, services().settings.media_urls)
        if FRAGMENT_HEADER not in request.headers:  # the live parts have no addresses
            audit_media(session, [document])
    return live_page(
        "asset.html",
        asset=asset,
        published=_published(document),
        warnings=document.warnings,
        failure=failure_of(asset.error_code) if asset.error_code else None,
        waits_for=sentence_of(asset.hold_reason) if asset.hold_reason else None,
        actions=[name for name, action in ACTIONS.items() if is_allowed(action, asset)],
        done=DONE.get(request.args.get("done", "")),
        chronicle=chronicle,
        failures_only=failures_only,
        attempts=attempts,
        costs=console_assets.encoding_costs(
            attempts, {terms.name: terms.prices for terms in services().account_terms}
        ),
        outputs=outputs,
        upload=upload,
        source=_without_query(asset.source_url) if asset.source_url else None,
        deliveries=deliveries[:DELIVERIES],
        more_deliveries=write_cursor(
            (deliveries[DELIVERIES - 1].received_at, deliveries[DELIVERIES - 1].id)
        )
        if len(deliveries) > DELIVERIES
        else None,
    )


def _without_query(url: str) -> str:
    """Return the address of a source without its query, which may grant access to it."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl()


def _published(document: AssetOut) -> dict[str, str]:
    """Return the addresses of the published output."""
    named = {
        "manifest": document.manifest_url,
        "fallback": document.fallback_url,
        "poster": document.poster_url,
        "thumbnail": document.thumbnail_url,
    }
    return {name: url for name, url in named.items() if url is not None}
