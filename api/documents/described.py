"""Facts of the OpenAPI document that stand at a view: scope, headers, links, media types.

``openapi`` reads them from the view functions, so that a view keeps them when it is renamed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pipeline.domain.scopes import Scope

ATTRIBUTE = "khronika_described"

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class RequestHeader:
    """An optional header of a request, with its meaning and the JSON schema of its text."""

    name: str
    meaning: str
    schema: Mapping[str, Any] = field(default_factory=dict)


IDEMPOTENCY_KEY = RequestHeader(
    "Idempotency-Key",
    "Gives a repeated request the first answer again, for a day.",
    {"minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
)
IF_NONE_MATCH = RequestHeader("If-None-Match", "The ETag of the document that the caller has.")
LAST_EVENT_ID = RequestHeader("Last-Event-ID", "The id of the last event that the caller received.")
RANGE = (
    RequestHeader("Range", "One range of bytes."),
    RequestHeader("If-Range", "The ETag or date of the version that the range refers to."),
    IF_NONE_MATCH,
)
DIGESTS = (
    RequestHeader(
        "Content-Digest", "`sha-256` of the body (RFC 9530); a body that does not match is refused."
    ),
    RequestHeader(
        "Content-MD5",
        "MD5 of the body in base64 (RFC 1864); a body that does not match is refused.",
        {"pattern": "^[A-Za-z0-9+/]{21}[AQgw]==$"},
    ),
)

Arguments = Mapping[str, Any]
"""The arguments of a link, as OpenAPI's Link Object has them."""

BY_POST: Arguments = {"parameters": {"post_id": "$response.body#/post_id"}}
BODY_OF_POST: Arguments = {"requestBody": {"post_id": "$response.body#/post_id"}}
BY_UPLOAD: Arguments = {"parameters": {"upload_id": "$response.body#/upload_id"}}
BY_TICKET: Arguments = {
    "parameters": {
        "upload_id": "$response.body#/upload_id",
        "header.X-Upload-Token": "$response.body#/headers/X-Upload-Token",
    }
}


@dataclass(frozen=True)
class Described:
    """Facts of one operation.

    Attributes:
        scope: The scope that a key must have, unless the guard of the view declares it.
        once: The operation changes something; an ``Idempotency-Key`` makes it happen once.
        headers: Optional headers of the request.
        takes_bytes: The body of the request is bytes of any kind.
        media_type: The media type of a success.
        links: The operations that can follow, by endpoint (``blueprint.view``), with arguments
            taken from this operation's answer.
    """

    scope: Scope | None = None
    once: bool = False
    headers: Sequence[RequestHeader] = ()
    takes_bytes: bool = False
    media_type: str = "application/json"
    links: Mapping[str, Arguments] = field(default_factory=dict)


def described(**facts: Any) -> Callable[[View], View]:
    """Attach facts to a view; they are the attributes of ``Described``."""

    def attach(view: View) -> View:
        setattr(view, ATTRIBUTE, Described(**facts))
        return view

    return attach


def facts_of(view: Callable[..., Any]) -> Described:
    """Return the facts attached to a view, through the decorators around it."""
    facts: Described = getattr(view, ATTRIBUTE, Described())
    return facts
