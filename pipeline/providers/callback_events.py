"""Events of vendors, as an adapter reads them from the bodies of callbacks."""

import json
import re
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any

from pipeline.runtime.strict_json import DocumentRefused, read_document

_EVENT_ID = re.compile(r"[\x21-\x7e]{1,255}")


def event_in(body: bytes) -> Mapping[str, Any]:
    """Return the event of a body; empty if the body is no object of JSON."""
    try:
        document = read_document(body)
    except DocumentRefused:
        return {}
    return document if isinstance(document, dict) else {}


def event_id_of(body: bytes, *parts: object) -> str:
    """Return the id of an event: its parts, or the digest of its body if one is missing.

    So a callback that is signed but unreadable has an id too.
    """
    joined = ":".join(map(str, parts))
    if all(parts) and _EVENT_ID.fullmatch(joined):
        return joined
    return f"sha256:{sha256(body).hexdigest()}"


def digest_without(event: Mapping[str, Any], members: Collection[str]) -> str | None:
    """Return a digest of an event for ``SignedCallback``; None for an empty one.

    Args:
        members: Names of the members that differ from one redelivery to the next.
    """
    kept = {name: value for name, value in event.items() if name not in members}
    return sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest() if kept else None
