"""How request bodies are read: strictly, within a limit, never trusting the sender."""

from typing import Any

from flask import Request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from pipeline.runtime.strict_json import parse_json

MAX_JSON_BYTES = 64 * 1024
"""Far above any documented body; read into memory, so bounded."""


class StrictJson(DefaultJSONProvider):
    """JSON of the API, read by the strict reader."""

    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Parse a body; a refusal is a ``ValueError``, which is answered with 400."""
        return parse_json(s, **kwargs)


class ApiRequest(Request):
    """A request whose body keeps its limit, and whose JSON says that it is JSON."""

    def get_data(self, *args: Any, **kwargs: Any) -> Any:
        """The raw body.

        Werkzeug cuts a chunked body off at the limit without a word; one byte beyond it tells.
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
        """The parsed body. APIFlask asks with ``force``, which would take any media type."""
        if not self.is_json:
            raise UnsupportedMediaType
        return super().get_json(*args, **kwargs)
