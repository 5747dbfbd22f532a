"""Strict readers of request bodies, with a limit of their size."""

from typing import Any

from flask import Request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import (
    BadRequest,
    RequestEntityTooLarge,
    RequestTimeout,
    UnsupportedMediaType,
)

from pipeline.net.broken_bodies import CheckedInput
from pipeline.runtime.strict_json import parse_json

MAX_JSON_BYTES = 64 * 1024
"""Bodies are read into memory; every documented body is far smaller."""


class StrictJson(DefaultJSONProvider):
    """The JSON provider of the API: it parses by the strict reader."""

    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Parse a body; the ``ValueError`` of a refused one is answered with 400."""
        return parse_json(s, **kwargs)


class ApiRequest(Request):
    """A request that enforces the form and the limit of its body and the media type of JSON."""

    def __init__(self, environ: dict[str, Any], *args: Any, **options: Any) -> None:
        environ["wsgi.input"] = CheckedInput(environ["wsgi.input"], BadRequest, RequestTimeout)
        super().__init__(environ, *args, **options)

    def get_data(self, *args: Any, **kwargs: Any) -> Any:
        """Return the raw body.

        Werkzeug truncates a chunked body at the limit without an error. Reading one byte more
        detects a body over the limit.
        """
        limit = self.max_content_length
        assert limit is not None
        self.max_content_length = limit + 1
        data = super().get_data(*args, **kwargs)
        self.max_content_length = limit
        if len(data) > limit:
            raise RequestEntityTooLarge
        return data

    def get_json(self, *args: Any, **kwargs: Any) -> Any:
        """Return the parsed body.

        APIFlask passes ``force``, with which Flask would accept any media type.
        """
        if not self.is_json:
            raise UnsupportedMediaType
        return super().get_json(*args, **kwargs)
