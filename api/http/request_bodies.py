"""How request bodies are read: strictly, within a limit, never trusting the sender."""

from typing import Any, NoReturn

from flask import Request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

MAX_JSON_BYTES = 64 * 1024
"""Far above any documented body; read into memory, so bounded."""


class StrictJson(DefaultJSONProvider):
    """JSON as RFC 8259 has it: no NaN or Infinity, no member named twice, bounded nesting."""

    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Parse, turning whatever is wrong into ``ValueError``, which is answered with 400."""
        try:
            return super().loads(
                s, parse_constant=_refuse_constant, object_pairs_hook=_unique_members, **kwargs
            )
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


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


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Two readers of one document that disagree on which of the two counts are a security hole.
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members
