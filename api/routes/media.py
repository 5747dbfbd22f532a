"""Outputs and sources in our own storage, read in parts."""

from datetime import UTC, datetime
from http import HTTPStatus

from apiflask import APIBlueprint
from flask import Response, request

from api.problems import Problem
from api.ranges import choose_part
from api.services import services
from pipeline.addresses import PUBLIC_PREFIXES
from pipeline.net.tokens import TokenRejected, TokenRejection, verify_prefix
from pipeline.storage.base import KeyRefused, ObjectMissing, Stat, check_key

blueprint = APIBlueprint("media", __name__, tag="Media", url_prefix="/media")

PUBLIC_TOKEN = "public"  # noqa: S105 - a word in a path, no secret
IMMUTABLE = "public, max-age=31536000, immutable"
PRIVATE = "private, no-cache"


@blueprint.get("/<token>/<path:key>")
@blueprint.doc(
    responses={
        200: "The object",
        206: "The part of it that was asked for",
        304: "Not modified",
        403: "",
        404: "",
        416: "",
    }
)
def read(token: str, key: str) -> Response:
    """Read an object. `token` is `public`, or opens one folder or object for a while."""
    _let_in(token, key)
    storage = services().storage
    try:
        stored = storage.stat(key)
    except (ObjectMissing, KeyRefused):
        raise _missing() from None
    if _is_held(stored):
        return _described(Response(status=HTTPStatus.NOT_MODIFIED), stored, token)
    part = choose_part(request.headers.get("Range"), request.headers.get("If-Range"), stored)
    # A generator: the file is opened with the first chunk, which a HEAD request never takes.
    response = Response(storage.read(key, part.start, part.stop), part.status)
    response.headers.update(part.headers)
    return _described(response, stored, token)


def _let_in(token: str, key: str) -> None:
    if token == PUBLIC_TOKEN:
        if not key.startswith(PUBLIC_PREFIXES) or not _is_key(key):
            raise _missing()
        return
    secret = services().settings.secret_key.get_secret_value()
    try:
        verify_prefix(secret, token, key, now=datetime.now(UTC))
    except TokenRejected as error:
        expired = error.reason is TokenRejection.EXPIRED
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "media_token_expired" if expired else "media_token_invalid",
            "This address has expired." if expired else "This address opens nothing.",
        ) from None


def _is_key(key: str) -> bool:
    try:
        check_key(key)
    except KeyRefused:
        return False
    return True


def _is_held(stored: Stat) -> bool:
    # If-None-Match decides alone where it is sent (RFC 9110, 13.2.2).
    if request.if_none_match:
        return request.if_none_match.contains_weak(stored.etag.strip('"'))
    since = request.if_modified_since
    return since is not None and stored.modified_at.replace(microsecond=0) <= since


def _described(response: Response, stored: Stat, token: str) -> Response:
    response.headers["Content-Type"] = stored.content_type
    response.headers["ETag"] = stored.etag
    response.last_modified = stored.modified_at
    response.headers["Cache-Control"] = IMMUTABLE if token == PUBLIC_TOKEN else PRIVATE
    return response


def _missing() -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "media_not_found", "There is no such object.")
