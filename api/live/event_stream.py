"""Server-sent events as text, and the opaque id by which a stream goes on where it ended.

The id of an event says what its receiver holds after it: a digest of the last document of each of
the stream's posts. It comes back as Last-Event-ID, to whichever process, and what differs from it
is sent. There is no clock in it and nothing to look up, so that it stays right across processes,
restarts and failovers. (WHATWG HTML, 9.2 "Server-sent events".)
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

DIGEST_BYTES = 6
"""Two documents of a post that are told apart wrongly once in 2^48 are told apart; and 100 posts
make an id of 800 characters, which every server takes as a header."""
UNKNOWN = bytes(DIGEST_BYTES)
"""Stands for a post of which the receiver has nothing yet."""

Held = Mapping[UUID, bytes]
"""Digests of what a receiver has of its posts."""


class Document(NamedTuple):
    """What there is to say of a post now.

    Attributes:
        event: ``asset`` or ``gone``.
        data: JSON in one line.
    """

    event: str
    data: str

    @property
    def digest(self) -> bytes:
        """Differs where the document does."""
        digest = blake2b(f"{self.event} {self.data}".encode(), digest_size=DIGEST_BYTES).digest()
        return digest if digest != UNKNOWN else b"\1" * DIGEST_BYTES


def write_event(document: Document, event_id: str) -> str:
    """An event, with the empty line that ends it."""
    return f"event: {document.event}\nid: {event_id}\ndata: {document.data}\n\n"


def write_comment(text: str) -> str:
    """Something that keeps the connection open and that nobody is told of."""
    return f": {text}\n\n"


def write_retry(delay_ms: int) -> str:
    """How long the receiver is to wait before it connects again."""
    return f"retry: {delay_ms}\n\n"


def write_id(post_ids: Sequence[UUID], held: Held) -> str:
    """What a receiver holds of these posts."""
    digests = b"".join(held.get(post_id, UNKNOWN) for post_id in sorted(post_ids))
    return urlsafe_b64encode(digests).decode()


def read_id(post_ids: Sequence[UUID], event_id: str) -> dict[UUID, bytes]:
    """What a receiver of these posts holds, by the last id it got; nothing where that is not ours.

    An id made for other posts is as good as none: its digests match no document.
    """
    try:
        digests = urlsafe_b64decode(event_id)
    except (binascii.Error, ValueError):
        return {}
    if len(digests) != DIGEST_BYTES * len(post_ids):
        return {}
    starts = range(0, len(digests), DIGEST_BYTES)
    each = (digests[start : start + DIGEST_BYTES] for start in starts)
    return {
        post_id: digest
        for post_id, digest in zip(sorted(post_ids), each, strict=True)
        if digest != UNKNOWN
    }
