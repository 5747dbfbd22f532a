"""Many videos at once: a feed's cards, the operators' list, and the public view of one."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response, request

from api.access.caller import Role, Scope, authorised, caller_session
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
    """Read what a page may show of a post's video.

    A public video needs no token. Of a signed one, the token of its owner or an operator gives
    addresses that work for a while, to hand to one viewer; anybody else learns its state.
    """
    card = _entitled(post_id) if "Authorization" in request.headers else None
    card = card or _public(post_id)
    if card is None:
        raise NotFound("post_not_found")
    return conditional(
        card_out(card, services().settings.media_urls), shared=card.playback is Playback.PUBLIC
    )


@authorised(*Role, scope=Scope.PLAYBACK)
def _entitled(post_id: UUID) -> queries.Card | None:
    with caller_session() as session:
        return queries.card_of_post(session, post_id)


def _public(post_id: UUID) -> queries.Card | None:
    with session_of(services().engines.public) as session:
        cards = queries.public_cards(session, [post_id])
    return cards[0] if cards else None


@blueprint.get("")
@blueprint.input(ListQuery, location="query")
@described(scope=Scope.OPERATOR_READ, headers=[IF_NONE_MATCH])
@blueprint.output(ListOut)
@blueprint.doc(
    responses={304: "Not modified", 401: "", 403: "", 422: ""},
    security=[{}, {"bearer": []}],
)
def many(query_data: ListQuery) -> Response:
    """Read the cards of a feed (`post_ids`, public), or the operators' list (`status`).

    With a token a feed has the owner's document of each post that is the caller's own, and an
    operator's of every post, as the stream has with a ticket. Without one it is everybody's.
    """
    if query_data.status is not None:
        return _operators_page(query_data.status, query_data.cursor, query_data.limit)
    return _cards(query_data.post_ids or "")


def _cards(post_ids: str) -> Response:
    asked = read_post_ids(post_ids)
    is_everybodys = "Authorization" not in request.headers
    with session_of(services().engines.public) as session:
        cards = queries.public_cards(session, asked)
    own = {} if is_everybodys else _own(asked)
    urls = services().settings.media_urls
    listed = CardList(assets=[own.get(card.post_id) or card_out(card, urls) for card in cards])
    return conditional(listed, shared=is_everybodys)


@authorised(*Role)
def _own(post_ids: Sequence[UUID]) -> Mapping[UUID, AssetOut]:
    """The documents of those posts that are the caller's own."""
    urls = services().settings.media_urls
    with caller_session() as session:
        assets = queries.assets_of_posts(session, post_ids)
        waiting = [asset.id for asset in assets if asset.status in WAITING]
        places = queue_places(session, waiting) if waiting else {}
    return {asset.post_id: asset_out(asset, urls, place=places.get(asset.id)) for asset in assets}


@authorised(Role.OPERATOR, Role.READER)
def _operators_page(status: Status, cursor: str | None, limit: int) -> Response:
    before = _place(cursor) if cursor is not None else None
    with caller_session() as session:
        # One more than asked tells whether another page follows.
        found = queries.assets_in_status(session, status, before=before, limit=limit + 1)
    shown = found[:limit]
    last = shown[-1] if len(found) > limit else None
    urls = services().settings.media_urls
    return conditional(
        AssetPage(
            assets=[asset_out(asset, urls) for asset in shown],
            next_cursor=_cursor(queries.PageCursor(last.updated_at, last.id)) if last else None,
        )
    )


def _cursor(place: queries.PageCursor) -> str:
    return urlsafe_b64encode(f"{place.updated_at.isoformat()} {place.id}".encode()).decode()


def _place(cursor: str) -> queries.PageCursor:
    try:
        instant, _, asset_id = urlsafe_b64decode(cursor).decode().rpartition(" ")
        updated_at = datetime.fromisoformat(instant)
        place = queries.PageCursor(updated_at, UUID(asset_id))
    except (binascii.Error, ValueError):
        raise invalid_parameter("cursor", "is not one that this list handed out") from None
    if updated_at.tzinfo is None:
        raise invalid_parameter("cursor", "is not one that this list handed out")
    return place
