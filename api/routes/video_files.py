"""The routes of published outputs by asset: addresses that outlive a re-encode and a move.

Each looks the output up and answers with the way to it. A playlist and a storyboard are redirected,
because the relative addresses in them must resolve beside the file. So is the video, whose parts
must come from one file even if another is published meanwhile. A picture in a storage without a
server of its own is read here.
"""

from datetime import datetime
from http import HTTPStatus
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response, request

from api.documents.described import RANGE, described
from api.http.problems import Problem
from api.routes import media
from api.wiring.services import services
from pipeline.content.media_tokens import NO_HOLDER, TokenHolder
from pipeline.content.object_urls import FILE_NAMES, STABLE, key_of, output_folder, stored_url
from pipeline.domain.values import Playback
from pipeline.providers.base import OutputKind
from pipeline.records import queries
from pipeline.records.queries import PublishedOutput
from pipeline.runtime.database import reading_session

blueprint = APIBlueprint("video_files", __name__, tag="Published outputs", url_prefix="/media")

FIELDS = {name: field for field, name in FILE_NAMES.items()}
PICTURES = frozenset({"poster_url", "thumbnail_url"})
ANSWERS = {
    200: "A picture in our storage",
    206: "The requested part of it",
    302: "The output's present address",
    304: "Not modified",
    404: "",
    416: "",
    429: "",
    503: "",
}


@blueprint.get(f"/{STABLE}/<uuid:asset_id>/<name>")
@described(headers=RANGE, media_type="application/octet-stream")
@blueprint.doc(responses=ANSWERS)
def read_public(asset_id: UUID, name: str) -> Response:
    """Read a published output of a public video."""
    _require_our_spelling(asset_id)
    with reading_session(services().engines.public) as session:
        output = queries.public_output(session, asset_id)
    return media.tagged(_answer(output, name, None, NO_HOLDER), asset_id)


@blueprint.get(f"/<token>/{STABLE}/<uuid:asset_id>/<name>")
@described(headers=RANGE, media_type="application/octet-stream")
@blueprint.doc(responses={**ANSWERS, 403: ""})
def read_granted(token: str, asset_id: UUID, name: str) -> Response:
    """Read a published output of a video. `token` grants the outputs of one until it expires."""
    _require_our_spelling(asset_id)
    if token == media.PUBLIC_TOKEN:
        raise media.missing()
    grant = media.grant_of(token, f"{output_folder(asset_id)}/{name}")
    with reading_session(services().engines.api) as session:
        output = queries.output_of_asset(session, asset_id, key_id=grant.holder.key_id)
    return _answer(output, name, grant.expires_at, grant.holder)


def _answer(
    output: PublishedOutput | None, name: str, ends_at: datetime | None, holder: TokenHolder
) -> Response:
    field = FIELDS.get(name)
    address = getattr(output, field) if output is not None and field is not None else None
    if output is None or field is None or address is None:
        raise media.missing()
    key = key_of(address)
    if key is None:
        return _redirect(_signed_by_vendor(output, field, address, ends_at), ends_at)
    urls = services().settings.media_urls
    if url := media.presigned(key, _left_sec(ends_at)):
        return _redirect(url, ends_at)
    if field in PICTURES:
        return media.serve(key, _cache_control(ends_at))
    return _redirect(stored_url(urls, key, expires_at=ends_at, holder=holder), ends_at)


def _signed_by_vendor(
    output: PublishedOutput, field: str, address: str, ends_at: datetime | None
) -> str:
    """Return a vendor's address, with the right to read it if the video is signed."""
    if output.playback is not Playback.SIGNED:
        return address
    assert ends_at is not None
    provider = services().providers.get(output.provider or "")
    if provider is None or not provider.capabilities.signs_addresses:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "account_not_configured",
            "The account that has this video is not configured to sign addresses.",
        )
    return provider.sign(address, OutputKind(field.removesuffix("_url")), ends_at)


def _require_our_spelling(asset_id: UUID) -> None:
    """Refuse an address with the id in another form: a CDN is told to purge the one we write.

    Raises:
        Problem: 404.
    """
    if f"/{asset_id}/" not in request.path:
        raise media.missing()


def _left_sec(ends_at: datetime | None) -> int:
    if ends_at is None:
        return services().settings.media_urls.playback_expires_sec
    return media.seconds_until(ends_at)


def _cache_control(ends_at: datetime | None) -> str:
    if ends_at is not None:
        return media.PRIVATE
    return f"public, max-age={media.cached_sec(_left_sec(None))}, must-revalidate"


def _redirect(location: str, ends_at: datetime | None) -> Response:
    response = Response(status=HTTPStatus.FOUND, headers={"Location": location})
    response.headers["Cache-Control"] = _cache_control(ends_at)
    # A redirect too is read by sites that isolate themselves.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
