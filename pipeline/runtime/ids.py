"""The one reading of an id, in addresses, bodies, queries, tokens and commands."""

import re
from uuid import UUID

ID_PATTERN = (
    "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"  # as RFC 9562 writes it
    "|[0-9A-Fa-f]{32}"  # as some databases and languages do
)
_ID = re.compile(ID_PATTERN)


def read_id(text: str) -> UUID:
    """Return the UUID in a text: with hyphens or without, in either case.

    Other spellings that Python's `UUID` reads are refused: braces, a prefix, hyphens anywhere.

    Raises:
        ValueError: It is none.
    """
    if _ID.fullmatch(text) is None:
        raise ValueError("is no UUID")
    return UUID(text)
