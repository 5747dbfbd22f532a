"""How request bodies are read: strictly, within a limit, never trusting the sender."""

from typing import Any, NoReturn

from flask import Request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import UnsupportedMediaType

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
    """A request whose JSON must say that it is JSON."""

    max_form_memory_size = MAX_JSON_BYTES

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:  # noqa: ARG002, FBT001, FBT002 - Flask's signature
        """The parsed body. APIFlask asks with ``force``, which would take any media type."""
        if not self.is_json:
            raise UnsupportedMediaType
        return super().get_json(force=True, silent=silent, cache=cache)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Two readers of one document that disagree on which of the two counts are a security hole.
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members
