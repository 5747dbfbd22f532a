"""Server-sent events as text, and the opaque event id by which a stream resumes.

An event's id encodes the documents that its receiver has: a digest of the last document of each of
the stream's posts. The receiver sends it back as Last-Event-ID, to any process, which sends the
documents that differ. The id needs no clock and no stored state, so it stays valid across
processes, restarts and failovers. (WHATWG HTML, 9.2 "Server-sent events".)
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

DIGEST_BYTES = 6
"""Two different documents of a post have the same digest once in 2^48; 100 posts make an id of 800
characters, which every server accepts as a header."""
UNKNOWN = bytes(DIGEST_BYTES)
"""The digest of a post of which the receiver has no document yet."""

Held = Mapping[UUID, bytes]
"""The digests of the documents that a receiver has, by post."""


class Document(NamedTuple):
    """The current document of a post.

    Attributes:
        event: ``asset`` or ``gone``.
        data: JSON in one line.
    """

    event: str
    data: str

    @property
    def digest(self) -> bytes:
        """The digest of the document; it differs if the document differs."""
        digest = blake2b(f"{self.event} {self.data}".encode(), digest_size=DIGEST_BYTES).digest()
        return digest if digest != UNKNOWN else b"\1" * DIGEST_BYTES


def write_event(document: Document, event_id: str) -> str:
    """Return an event, with the empty line that ends it."""
    return f"event: {document.event}\nid: {event_id}\ndata: {document.data}\n\n"


def write_comment(text: str) -> str:
    """Return a comment, which keeps the connection open and is not shown to the page."""
    return f": {text}\n\n"


def write_retry(delay_ms: int) -> str:
    """Return the message that sets the receiver's delay before it reconnects."""
    return f"retry: {delay_ms}\n\n"


def write_id(post_ids: Sequence[UUID], held: Held) -> str:
    """Return the id that encodes the documents which a receiver has of these posts."""
    digests = b"".join(held.get(post_id, UNKNOWN) for post_id in sorted(post_ids))
    return urlsafe_b64encode(digests).decode()


def read_id(post_ids: Sequence[UUID], event_id: str) -> dict[UUID, bytes]:
    """Return the documents that a receiver has, by the last id it got; empty if it is not ours.

    An id made for other posts is harmless: its digests match no document.
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
