"""Answers that a client may already have."""

from flask import Response, current_app, request
from pydantic import BaseModel


def conditional(document: BaseModel, *, shared: bool = False) -> Response:
    """A document with its ETag, or 304 when the client holds the same.

    The tag is a digest of the document itself. Unlike one made of the row's version it also
    changes with what the row does not hold, such as our public address or a new member after an
    upgrade. It is weak, because a proxy may compress the bytes.

    Args:
        shared: Whether everybody is given the same, so that a proxy may keep it.
    """
    response = Response(
        current_app.json.dumps(document.model_dump(mode="json")), content_type="application/json"
    )
    # no-cache: keep it, and ask whether it still holds.
    response.headers["Cache-Control"] = "public, no-cache" if shared else "private, no-cache"
    if not shared:
        response.vary.add("Authorization")
    response.add_etag(weak=True)
    response.make_conditional(request)
    return response
