"""The routes of outputs and sources in our own storage, read in parts."""

from datetime import UTC, datetime
from http import HTTPStatus

from apiflask import APIBlueprint
from flask import Response, request

from api.documents.described import RANGE, described
from api.http import security_headers
from api.http.problems import Problem
from api.http.ranges import choose_range
from api.wiring.services import services
from pipeline.content.media_tokens import TokenRejected, TokenRejection, verify_prefix
from pipeline.content.object_urls import PUBLIC_PREFIXES, STABLE
from pipeline.storage.base import KeyRefused, ObjectMissing, Stat, check_key

blueprint = APIBlueprint("media", __name__, tag="Media", url_prefix="/media")

PUBLIC_TOKEN = "public"  # noqa: S105 - a word in a path, no secret
IMMUTABLE = "public, max-age=31536000, immutable"
PRIVATE = "private, no-cache"
INDEXES = (".m3u8", ".vtt")
"""Suffixes of files that name other objects relatively: playlists, and a storyboard's cues."""
PRESIGNED_MAX_SEC = 7 * 24 * 3600
"""The longest life of a signature of version 4 (AWS, "Authenticating Requests")."""


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
    }
)
def read(token: str, key: str) -> Response:
    """Read an object. `token` is `public`, or grants one folder or object until it expires."""
    left_sec = _seconds_granted(token, key)
    if url := presigned(key, left_sec):
        return _redirected(url, left_sec, token)
    return serve(key, IMMUTABLE if token == PUBLIC_TOKEN else PRIVATE)


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
        if not key.startswith(PUBLIC_PREFIXES) or not _is_key(key):
            raise missing()
        return services().settings.media_urls.playback_expires_sec
    return seconds_until(end_of_grant(token, key))


def seconds_until(instant: datetime) -> int:
    """Return the seconds until an instant, at least one."""
    return max(1, int((instant - datetime.now(UTC)).total_seconds()))


def end_of_grant(token: str, path: str) -> datetime:
    """Return the instant until which a token opens a path.

    Raises:
        Problem: 403: it does not open the path, or no longer.
    """
    try:
        key = services().settings.media_urls.key
        return verify_prefix(key, token, path, now=datetime.now(UTC))
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
        return services().storage.presign_get(key, expires_sec=min(left_sec, PRESIGNED_MAX_SEC))
    except KeyRefused:
        raise missing() from None


def _redirected(url: str, left_sec: int, token: str) -> Response:
    # 307, not the 302 of Flask's own helper: the method stays (RFC 9110, 15.4.8).
    response = Response(status=HTTPStatus.TEMPORARY_REDIRECT, headers={"Location": url})
    # A cached redirect must still point to an address with half of its life left.
    kept = f"public, max-age={left_sec // 2}" if token == PUBLIC_TOKEN else "private, no-store"
    response.headers["Cache-Control"] = kept
    return response


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
