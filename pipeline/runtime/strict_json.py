"""Reader of JSON from outside: strict by RFC 8259, and bounded in every direction.

A document is refused as a whole, signed or not, if

* two readers may understand it differently (a member named twice, NaN),
* it costs a reader more than it cost its writer (nesting, endless numbers), or
* no database column can hold it (NUL, half a surrogate pair).
"""

import json
import math
import re
from typing import Any, NoReturn

MAX_DEPTH = 32
"""Objects and arrays within each other; what providers document is a quarter of that."""
MAX_NUMBER_CHARS = 32
"""A double has 24 at the most (-2.2250738585072014e-308), a 64-bit integer 20."""

# The closing quote is optional and the repetition possessive: a string without an end is passed
# over once, not tried again from each of its characters.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_SURROGATE_OR_NUL = re.compile("[\0\ud800-\udfff]")


class DocumentRefused(ValueError):
    """The document is refused; the message holds the reason, and nothing of the content."""


def read_document(body: bytes) -> Any:
    """Parse a JSON document of UTF-8, without a byte order mark, within all bounds.

    Raises:
        DocumentRefused: It is not JSON, ambiguous, beyond a bound, or not storable.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise DocumentRefused("not UTF-8") from None
    _check_depth(text)
    document = parse_json(text, parse_float=_finite, parse_int=_short)
    _check_text(document)
    return document


def parse_json(text: str | bytes, **options: Any) -> Any:
    """Parse JSON in which no two readers differ: no NaN or Infinity, no member named twice.

    Args:
        text: The document; the caller has bounded its size.
        options: More arguments of `json.loads`.

    Raises:
        DocumentRefused: It is not JSON, ambiguous, or nested beyond Python's own bound.
    """
    try:
        return json.loads(
            text, object_pairs_hook=_unique_members, parse_constant=_refuse_constant, **options
        )
    except DocumentRefused:
        raise
    except (ValueError, RecursionError) as error:
        raise DocumentRefused("not JSON") from error


def _check_depth(text: str) -> None:
    depth = 0
    for token in _TOKEN.finditer(text):
        first = token[0][0]
        depth += (first in "[{") - (first in "]}")
        if depth > MAX_DEPTH:
            raise DocumentRefused(f"nested deeper than {MAX_DEPTH}")


def _check_text(document: Any) -> None:
    left = [document]
    while left:
        value = left.pop()
        if isinstance(value, str) and _SURROGATE_OR_NUL.search(value):
            raise DocumentRefused("text with a NUL or half a surrogate pair")
        if isinstance(value, dict):
            left += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            left += value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise DocumentRefused("a member is named twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise DocumentRefused(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text) if len(text) <= MAX_NUMBER_CHARS else math.inf
    if not math.isfinite(number):
        raise DocumentRefused("a number that no double holds")
    return number


def _short(text: str) -> int:
    if len(text) > MAX_NUMBER_CHARS:
        raise DocumentRefused("an integer of too many digits")
    return int(text)
