"""A client's connection that bounds the total time of waiting for its client."""

import select
import socket
from collections.abc import Callable
from errno import EPIPE
from time import monotonic
from typing import Any, Self

from pipeline.net.client_bounds import ClientBounds

SLOW_SEC = 0.5
"""The time that a client has been waited for before it can count as slow."""
SLOW_BYTES_PER_SEC = 64 * 1024
"""A rate below which a client is slow: 512 kbit/s, the least that a video is watched with."""


class ClientTooSlow(BrokenPipeError):
    """The client sent or read less than it has to; gunicorn ends the connection silently."""

    def __init__(self) -> None:
        super().__init__(EPIPE, "the client is too slow")


class ClientPace:
    """The patience that is left with the client of one request.

    Waiting for the client uses it up, and each byte restores some, up to the full patience.
    """

    def __init__(self, bounds: ClientBounds) -> None:
        self._bounds = bounds
        self._left_sec = bounds.patience_sec
        self._waiting_since: float | None = None
        self._window_sec = 0.0
        self._window_bytes = 0.0
        self._last_rate: float | None = None

    def moved(self, count: int) -> None:
        """Count bytes that the client has sent or read."""
        earned_sec = count / self._bounds.bytes_per_sec
        self._left_sec = min(self._bounds.patience_sec, self._left_sec + earned_sec)
        if self._window_sec:
            self._window_bytes += count

    def end(self) -> None:
        """Wait for this client no more: only what has arrived is read."""
        self._left_sec = 0.0

    def wait(self, wait: Callable[[float], bool]) -> None:
        """Wait for the client by a function that takes the longest time.

        Raises:
            ClientTooSlow: The patience is used up.
        """
        began_at = self._waiting_since = monotonic()
        try:
            is_ready = self._left_sec > 0 and wait(self._left_sec)
        finally:
            self._waiting_since = None
            self._count_wait(monotonic() - began_at)
        if not is_ready:
            raise ClientTooSlow

    def _count_wait(self, waited_sec: float) -> None:
        self._left_sec -= waited_sec
        self._window_sec += waited_sec
        if self._window_sec >= SLOW_SEC:
            self._last_rate = self._window_bytes / self._window_sec
            self._window_sec = self._window_bytes = 0.0

    @property
    def slow_bytes_per_sec(self) -> float | None:
        """The latest rate of a client that is waited for at this moment and is slow; else None.

        Bytes that the network took without any wait do not make a client fast.
        """
        since = self._waiting_since
        if since is None:
            return None
        window_sec = self._window_sec + monotonic() - since
        rate = self._window_bytes / window_sec if window_sec >= SLOW_SEC else self._last_rate
        return rate if rate is not None and rate < SLOW_BYTES_PER_SEC else None


class PacedSocket(socket.socket):
    """Connection whose blocking reads and writes are bounded by a pace.

    In non-blocking mode it is a plain socket.

    Attributes:
        pace: The pace of the current request.
    """

    pace: ClientPace
    _on_close: "Callable[[PacedSocket], None]"

    @classmethod
    def adopt(
        cls,
        accepted: socket.socket,
        bounds: ClientBounds,
        *,
        on_close: "Callable[[PacedSocket], None]",
    ) -> Self:
        """Take over an accepted connection.

        Args:
            on_close: A function to call when the connection is closed, perhaps several times.
        """
        paced = cls(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        paced.pace, paced._on_close = ClientPace(bounds), on_close
        return paced

    def settimeout(self, value: float | None, /) -> None:
        """Switch between blocking and not; the pace is the only bound of a wait.

        With a timeout, Python would wait before each read, whatever its flags, and the pace would
        not know of the wait.
        """
        super().settimeout(0.0 if value == 0 else None)

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Receive up to ``size`` bytes; an empty answer is the end of the connection."""
        if self.gettimeout() == 0 or flags & socket.MSG_DONTWAIT:
            return super().recv(size, flags)
        while True:
            try:
                received = super().recv(size, flags | socket.MSG_DONTWAIT)
            except BlockingIOError:
                self._await(select.POLLIN)
            else:
                self.pace.moved(len(received))
                return received

    def send(self, data: Any, flags: int = 0, /) -> int:
        """Send as much as the client takes at once, and at least one byte."""
        if self.gettimeout() == 0 or flags & socket.MSG_DONTWAIT:
            return super().send(data, flags)
        while True:
            try:
                sent = super().send(data, flags | socket.MSG_DONTWAIT)
            except BlockingIOError:
                self._await(select.POLLOUT)
            else:
                self.pace.moved(sent)
                return sent

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send all bytes."""
        left = memoryview(data).cast("B")
        while left:
            left = left[self.send(left, flags) :]

    def close(self) -> None:
        """Close the connection."""
        self._on_close(self)
        super().close()

    def _await(self, event: int) -> None:
        poller = select.poll()
        poller.register(self, event)
        self.pace.wait(lambda sec: bool(poller.poll(sec * 1000)))
