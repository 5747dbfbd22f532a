"""The CORS headers: the sites whose pages may call the API from a browser."""

from apiflask import APIFlask
from flask import Response, request

from api.wiring.services import services

ALLOWED = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE",
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Digest, Content-MD5, Content-Type, Idempotency-Key, "
        "If-None-Match, Last-Event-ID, Range, X-Request-Id, X-Upload-Token"
    ),
    "Access-Control-Max-Age": "600",
}
EXPOSED = (
    "ETag, Location, Retry-After, Idempotency-Replayed, RateLimit, RateLimit-Policy, "
    "X-Request-Id, Content-Range, Accept-Ranges"
)

OPEN = ("/media/public/", "/media/videos/", "/web/")
"""Paths that pages of any site may read: published media and the player."""


def register(app: APIFlask) -> None:
    """Add the headers to every answer; Flask itself answers OPTIONS."""
    app.after_request(_allow)


def _allow(response: Response) -> Response:
    allowed = _allowed_origin()
    # If an answer depends on the origin, caches must know, even if this origin is not allowed.
    if allowed != "*":
        response.vary.add("Origin")
    if allowed is None:
        return response
    response.headers["Access-Control-Allow-Origin"] = allowed
    response.headers["Access-Control-Expose-Headers"] = EXPOSED
    if request.method == "OPTIONS":
        response.headers.update(ALLOWED)
    return response


def _allowed_origin() -> str | None:
    if request.path.startswith(OPEN):
        return "*"
    origin = request.headers.get("Origin")
    return origin if origin in services().settings.clients.cors_origins else None
