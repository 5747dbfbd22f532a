"""The routes of many videos (a feed's cards, the operators' list) and of the public view."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response, request

from api.access.audit import audit_media
from api.access.caller import Role, Scope, authorised, caller_session, key_of_caller
from api.documents.described import IF_NONE_MATCH, described
from api.documents.post_ids import invalid_parameter, read_post_ids
from api.documents.present import asset_out, card_out
from api.documents.schemas import AssetOut, AssetPage, CardList, CardOut, ListOut, ListQuery
from api.http.conditional import conditional
from api.wiring.services import services
from pipeline.domain.errors import NotFound
from pipeline.domain.states import WAITING, Status
from pipeline.domain.values import Playback
from pipeline.records import queries
from pipeline.records.queue_position import queue_places
from pipeline.runtime.database import session_of

blueprint = APIBlueprint("lists", __name__, tag="Feeds and lists", url_prefix="/api/video-assets")


@blueprint.get("/<uuid:post_id>/playback")
@described(scope=Scope.PLAYBACK, headers=[IF_NONE_MATCH])
@blueprint.output(CardOut)
@blueprint.doc(responses={304: "Not modified", 401: "", 404: ""}, security=[{}, {"bearer": []}])
def playback(post_id: UUID) -> Response:
    """Read the public view of a post's video.

    A public video needs no token. For a signed video, the token of its owner or of an operator
    gives addresses that expire, for one viewer; every other caller gets 404, as for no video.
    """
    shown = _entitled(post_id) if "Authorization" in request.headers else None
    shown = shown or _public(post_id)
    if shown is None:
        raise NotFound("post_not_found")
    return conditional(shown, shared=shown.playback is Playback.PUBLIC)


@authorised(*Role, scope=Scope.PLAYBACK)
def _entitled(post_id: UUID) -> CardOut | None:
    with caller_session() as session:
        card = queries.card_of_post(session, post_id)
        if card is None:
            return None
        document = card_out(card, services().settings.media_urls, key_id=key_of_caller())
        audit_media(session, [document])
    return document


def _public(post_id: UUID) -> CardOut | None:
    with session_of(services().engines.public) as session:
        cards = queries.public_cards(session, [post_id])
    card = next((card for card in cards if card.is_for_everybody), None)
    return card and card_out(card, services().settings.media_urls)


@blueprint.get("")
@blueprint.input(ListQuery, location="query")
@described(scope=Scope.OPERATOR_READ, headers=[IF_NONE_MATCH])
@blueprint.output(ListOut)
@blueprint.doc(
    responses={304: "Not modified", 401: "", 403: "", 422: ""},
    security=[{}, {"bearer": []}],
)
def videos(query_data: ListQuery) -> Response:
    """Read the cards of a feed (`post_ids`, public), or the operators' list (`status`).

    With an owner's token, a feed contains the complete assets of the caller's own posts; with an
    operator's, of every post. The stream does the same with a ticket. Without a token, the feed is
    the public view, which lacks signed videos.
    """
    if query_data.status is not None:
        return _operators_page(query_data.status, query_data.cursor, query_data.limit)
    return _cards(query_data.post_ids or "")


def _cards(post_ids: str) -> Response:
    named = read_post_ids(post_ids)
    is_public = "Authorization" not in request.headers
    with session_of(services().engines.public) as session:
        cards = queries.public_cards(session, named)
    own = {} if is_public else _own(named)
    urls = services().settings.media_urls
    shown = [
        own.get(card.post_id) or card_out(card, urls, key_id=key_of_caller())
        for card in cards
        if card.post_id in own or card.is_for_everybody
    ]
    return conditional(CardList(assets=shown), shared=is_public)


@authorised(*Role)
def _own(post_ids: Sequence[UUID]) -> Mapping[UUID, AssetOut]:
    """Return the assets of the posts that are the caller's own."""
    urls = services().settings.media_urls
    with caller_session() as session:
        assets = queries.assets_of_posts(session, post_ids)
        waiting = [asset.id for asset in assets if asset.status in WAITING]
        places = queue_places(session, waiting) if waiting else {}
        own = {
            each.post_id: asset_out(each, urls, place=places.get(each.id), key_id=key_of_caller())
            for each in assets
        }
        audit_media(session, own.values())
    return own


@authorised(Role.OPERATOR, Role.READER)
def _operators_page(status: Status, cursor: str | None, limit: int) -> Response:
    before = _read_cursor(cursor) if cursor is not None else None
    with caller_session() as session:
        # One row more than the limit shows that another page follows.
        found = queries.assets_in_status(session, status, before=before, limit=limit + 1)
        page = found[:limit]
        urls = services().settings.media_urls
        shown = [asset_out(asset, urls, key_id=key_of_caller()) for asset in page]
        audit_media(session, shown)
    last = page[-1] if len(found) > limit else None
    next_page = queries.PageCursor(last.updated_at, last.id) if last else None
    return conditional(
        AssetPage(
            assets=shown,
            next_cursor=_write_cursor(next_page) if next_page else None,
        )
    )


def _write_cursor(place: queries.PageCursor) -> str:
    return urlsafe_b64encode(f"{place.updated_at.isoformat()} {place.id}".encode()).decode()


def _read_cursor(cursor: str) -> queries.PageCursor:
    try:
        instant, _, asset_id = urlsafe_b64decode(cursor).decode().rpartition(" ")
        updated_at = datetime.fromisoformat(instant)
        place = queries.PageCursor(updated_at, UUID(asset_id))
    except (binascii.Error, ValueError):
        raise invalid_parameter("cursor", "is not a cursor of this list") from None
    if updated_at.tzinfo is None:
        raise invalid_parameter("cursor", "is not a cursor of this list")
    return place
