"""A request while it arrives: enough of HTTP's syntax to know when it deserves a thread.

The server's own parser reads the request afterwards and decides on it. A wrong guess here costs
time, never correctness.
"""

import re
from time import monotonic

from pipeline.net.client_bounds import ClientBounds

MOST_HEAD_BYTES = 32 * 1024
"""Four times the head that common proxies accept."""
MOST_BODY_BYTES = 64 * 1024
"""The longest body that is collected before its request gets a thread: every JSON body."""

_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding[ \t]*:[^\r\n]*chunked", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect[ \t]*:", re.IGNORECASE)


class ArrivingRequest:
    """The bytes of a request that has no thread yet.

    Attributes:
        received: All bytes since the end of the previous request.
    """

    def __init__(self, bounds: ClientBounds) -> None:
        self._bounds = bounds
        self._began_at = monotonic()
        self._body_at: int | None = None
        self._body_began_at = 0.0
        self._body_bytes = 0
        self._is_chunked = False
        self.received = bytearray()

    def add(self, data: bytes) -> None:
        """Add bytes that have arrived."""
        searched = max(0, len(self.received) - len(_END) + 1)
        self.received += data
        if self._body_at is None:
            end = self.received.find(_END, searched)
            if end >= 0:
                self._read_head(end + len(_END))

    def _read_head(self, end: int) -> None:
        head = bytes(self.received[:end])
        self._body_at, self._body_began_at = end, monotonic()
        if _EXPECTS.search(head):
            return  # this client sends its body only after a thread has said "100 Continue"
        self._is_chunked = _CHUNKED.search(head) is not None
        length = _LENGTH.search(head)
        self._body_bytes = int(length[1]) if length else 0

    def is_idle_for(self, sec: float) -> bool:
        """Return True if no byte has arrived in so many seconds."""
        return not self.received and monotonic() - self._began_at > sec

    @property
    def has_head(self) -> bool:
        """True if the head is complete."""
        return self._body_at is not None

    @property
    def is_head_too_large(self) -> bool:
        """True if the head is longer than any request needs."""
        head_bytes = len(self.received) if self._body_at is None else self._body_at
        return head_bytes > MOST_HEAD_BYTES

    @property
    def is_ready(self) -> bool:
        """True if nothing more is waited for, or the rest is too large to be collected."""
        if self._body_at is None:
            return False
        arrived_bytes = len(self.received) - self._body_at
        if self._is_chunked:
            is_ended = arrived_bytes > 0 and self.received.endswith(_END)
            return is_ended or arrived_bytes >= MOST_BODY_BYTES
        return arrived_bytes >= self._body_bytes or self._body_bytes > MOST_BODY_BYTES

    @property
    def expires_at(self) -> float:
        """The instant, by the monotonic clock, at which the request must be ready."""
        if self._body_at is None:
            return self._began_at + self._bounds.head_sec
        return self._body_began_at + self._bounds.allowed_sec(len(self.received) - self._body_at)
