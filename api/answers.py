"""Answers that a client may already have."""

from flask import Response, current_app, request
from pydantic import BaseModel


def conditional(document: BaseModel, cache_control: str) -> Response:
    """A document with its ETag, or 304 when the client holds the same.

    The tag is a digest of the document itself. Unlike one made of the row's version it also
    changes with what the row does not hold, such as our public address or a new member after an
    upgrade. It is weak, because a proxy may compress the bytes.
    """
    response = Response(
        current_app.json.dumps(document.model_dump(mode="json")), content_type="application/json"
    )
    response.headers["Cache-Control"] = cache_control
    response.vary.add("Authorization")
    response.add_etag(weak=True)
    response.make_conditional(request)
    return response
