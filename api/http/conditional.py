"""Conditional answers: 304 if the client already has the current document."""

from flask import Response, current_app, request
from pydantic import BaseModel


def conditional(document: BaseModel, *, shared: bool = False) -> Response:
    """Return a document with its ETag, or 304 if the client has the same document.

    The tag is a digest of the document. A tag made of the row's version would not change with our
    public address or with a new member after an upgrade. The tag is weak, because a proxy may
    compress the bytes.

    Args:
        shared: True if every caller gets the same document, so that a proxy may cache it.
    """
    response = Response(
        current_app.json.dumps(document.model_dump(mode="json")), content_type="application/json"
    )
    # no-cache: a cache may keep the answer and has to revalidate it before each use.
    response.headers["Cache-Control"] = "public, no-cache" if shared else "private, no-cache"
    if not shared:
        response.vary.add("Authorization")
    response.add_etag(weak=True)
    response.make_conditional(request)
    return response
