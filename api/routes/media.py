"""The routes of outputs and sources in our own storage, read in parts.

Every answer depends on the present rows: a deleted video, a cancelled job or a revoked API key ends
every address that was given out for it. That costs one statement by primary keys for each request.
"""

from datetime import UTC, datetime
from http import HTTPStatus
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response, request

from api.documents.described import RANGE, described
from api.http import security_headers
from api.http.problems import Problem
from api.http.ranges import choose_range
from api.wiring.services import services
from pipeline.content.media_tokens import (
    MediaGrant,
    TokenHolder,
    TokenRejected,
    TokenRejection,
    verify_prefix,
)
from pipeline.content.object_urls import (
    PUBLIC_PREFIXES,
    STABLE,
    owner_of_output,
    surrogate_key,
)
from pipeline.records import queries
from pipeline.runtime.database import reading_session
from pipeline.storage.base import KeyRefused, ObjectMissing, Stat, check_key

blueprint = APIBlueprint("media", __name__, tag="Media", url_prefix="/media")

PUBLIC_TOKEN = "public"  # noqa: S105 - a word in a path, no secret
KEPT_SEC = 60
"""Seconds that a cache keeps a public playlist, picture or MP4, and the way to an output."""
IMMUTABLE = "public, max-age=31536000, immutable"
SHORT = f"public, max-age={KEPT_SEC}, must-revalidate"
PRIVATE = "private, no-store"
CACHE_TAGS = ("Surrogate-Key", "Cache-Tag")
"""Headers by which CDNs find the copies of an asset: Fastly and Varnish, and the others."""
SEGMENTS = (".m4s", ".ts")
"""Suffixes of segments. A segment never changes: another encode has another address."""
INDEXES = (".m3u8", ".vtt")
"""Suffixes of files that name other objects relatively: playlists, and a storyboard's cues."""


@blueprint.get("/<token>/<path:key>")
@described(headers=RANGE, media_type="application/octet-stream")
@blueprint.doc(
    responses={
        200: "The object",
        206: "The requested part of it",
        304: "Not modified",
        307: "The storage serves it itself",
        403: "",
        404: "",
        416: "",
        429: "",
        503: "",
    }
)
def read(token: str, key: str) -> Response:
    """Read an object. `token` is `public`, or grants one folder or object until it expires.

    A video that was deleted or cancelled, and an address whose API key was revoked, is a 404.
    """
    left_sec = _seconds_granted(token, key)
    is_public = token == PUBLIC_TOKEN
    if url := presigned(key, left_sec):
        response = _redirected(url, left_sec, token)
    else:
        response = serve(key, cache_control_of(key) if is_public else PRIVATE)
    if not is_public:
        return response
    owner = owner_of_output(key)
    assert owner is not None
    assert owner.asset_id is not None
    return tagged(response, owner.asset_id)


def tagged(response: Response, asset_id: UUID) -> Response:
    """Name the asset in a public answer, for the purge of a CDN by key."""
    for header in CACHE_TAGS:
        response.headers[header] = surrogate_key(asset_id)
    return response


def cache_control_of(key: str) -> str:
    """Return the ``Cache-Control`` of a public object."""
    return IMMUTABLE if key.endswith(SEGMENTS) else SHORT


def serve(key: str, cache_control: str) -> Response:
    """Read an object or a part of it from our storage.

    Raises:
        Problem: 404: there is no such object.
    """
    storage = services().storage
    try:
        stored = storage.stat(key)
    except (ObjectMissing, KeyRefused):
        raise missing() from None
    if _is_held(stored):
        return _described(Response(status=HTTPStatus.NOT_MODIFIED), stored, cache_control)
    part = choose_range(request.headers.get("Range"), request.headers.get("If-Range"), stored)
    # A generator: the file is opened with the first chunk, which a HEAD request never takes.
    response = Response(storage.read(key, part.start, part.stop), part.status)
    response.headers.update(part.headers)
    return _described(response, stored, cache_control)


def _seconds_granted(token: str, key: str) -> int:
    """Return the remaining life of the token; refuse a token that does not grant the object."""
    if token == STABLE:
        raise missing()  # an id that is none
    if token == PUBLIC_TOKEN:
        if not key.startswith(PUBLIC_PREFIXES) or not _is_key(key) or not _is_public(key):
            raise missing()
        return services().settings.media_urls.playback_expires_sec
    grant = grant_of(token, key)
    if not _is_in_force(grant.holder, key):
        raise missing()
    return seconds_until(grant.expires_at)


def _is_public(key: str) -> bool:
    """Return true if an object belongs to the outputs of a public video that is published now."""
    owner = owner_of_output(key)
    if owner is None or owner.asset_id is None:
        return False
    with reading_session(services().engines.public) as session:
        return queries.public_output(session, owner.asset_id) is not None


def _is_in_force(holder: TokenHolder, key: str) -> bool:
    """Return true if the rows on which a token depends still allow this object."""
    owner = owner_of_output(key)
    asset_id = holder.asset_id if owner is None else owner.asset_id
    if asset_id is None:
        return False
    # An attempt that reads another one's output has it as its source: a move without the original.
    made_it = owner is not None and holder.attempt_id in {None, owner.attempt_id}
    with reading_session(services().engines.api) as session:
        return queries.grants_media(
            session,
            asset_id,
            attempt_id=holder.attempt_id,
            key_id=holder.key_id,
            is_source=not made_it,
        )


def seconds_until(instant: datetime) -> int:
    """Return the seconds until an instant, at least one."""
    return max(1, int((instant - datetime.now(UTC)).total_seconds()))


def grant_of(token: str, path: str) -> MediaGrant:
    """Return the content of a token that opens a path. Its holder is still to be checked.

    Raises:
        Problem: 403: it does not open the path, or no longer.
    """
    try:
        keys = services().settings.media_urls.accepted_keys
        return verify_prefix(keys, token, path, now=datetime.now(UTC))
    except TokenRejected as error:
        expired = error.reason is TokenRejection.EXPIRED
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "media_token_expired" if expired else "media_token_invalid",
            "This address has expired." if expired else "This address is not valid.",
        ) from None


def presigned(key: str, left_sec: int) -> str | None:
    """Return the object's address in a storage that serves by itself; it lasts as the token does.

    None for indexes, which are read here, so that the relative names in them come here with the
    token. None for HEAD: an address signed for GET refuses it.

    Raises:
        Problem: 404: there can be no such object.
    """
    if request.method == "HEAD" or key.endswith(INDEXES):
        return None
    try:
        most_sec = services().settings.media_urls.presigned_expires_sec
        return services().storage.presign_get(key, expires_sec=min(left_sec, most_sec))
    except KeyRefused:
        raise missing() from None


def _redirected(url: str, left_sec: int, token: str) -> Response:
    # 307, not the 302 of Flask's own helper: the method stays (RFC 9110, 15.4.8).
    response = Response(status=HTTPStatus.TEMPORARY_REDIRECT, headers={"Location": url})
    kept = f"public, max-age={cached_sec(left_sec)}" if token == PUBLIC_TOKEN else PRIVATE
    response.headers["Cache-Control"] = kept
    return response


def cached_sec(left_sec: int) -> int:
    """Return the seconds that a cache may keep a redirect to a presigned address.

    A cached redirect must still point to an address with half of its life left.
    """
    most_sec = services().settings.media_urls.presigned_expires_sec
    return min(KEPT_SEC, min(left_sec, most_sec) // 2)


def _is_key(key: str) -> bool:
    try:
        check_key(key)
    except KeyRefused:
        return False
    return True


def _is_held(stored: Stat) -> bool:
    # If-None-Match takes precedence over If-Modified-Since (RFC 9110, 13.2.2).
    if request.if_none_match:
        return request.if_none_match.contains_weak(stored.etag.strip('"'))
    since = request.if_modified_since
    return since is not None and stored.modified_at.replace(microsecond=0) <= since


def _described(response: Response, stored: Stat, cache_control: str) -> Response:
    response.headers["Content-Type"] = stored.content_type
    response.headers["ETag"] = stored.etag
    response.last_modified = stored.modified_at
    response.headers["Cache-Control"] = cache_control
    response.headers["Content-Security-Policy"] = security_headers.MEDIA
    # Sites of other origins embed it, including sites that isolate themselves.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def missing() -> Problem:
    """Return the answer to an address that leads to no object."""
    return Problem(HTTPStatus.NOT_FOUND, "media_not_found", "There is no such object.")
