"""The open streams of this process, and the one thread that looks for all of them.

While anybody follows anything, one thread looks at everything that is followed, once a second, and
offers it to every stream. No stream holds a database session, and a thousandth stream of the same
posts costs no further statement. When the database is away, streams stay open and go on when it
is back: a receiver that polled instead would find as little.
"""

from collections.abc import Callable, Sequence
from threading import Event, Lock, Thread
from typing import Protocol
from uuid import UUID

import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy.exc import SQLAlchemyError

from api.live.event_stream import Held
from api.live.stream_tickets import Viewer
from api.live.subscription import Subscription
from api.live.viewer_documents import Followed, Seen

STUCK_SEC = 10.0
"""How long the sending of a few events may take: connections that are merely slow take a moment."""
JOIN_SEC = 10.0
"""How long the reader's last statement is waited for at the end."""

OPEN = Gauge("khronika_stream_clients", "Open streams of live status.", multiprocess_mode="livesum")
FULL = Counter("khronika_stream_full", "Streams refused because the process had its fill of them.")

log = structlog.get_logger()


class Looking(Protocol):
    """Looks at what is followed."""

    def look(self, followed: Followed) -> Seen:
        """What each viewer sees of the posts that they follow."""
        ...


class StreamsFull(Exception):
    """This process takes no further stream."""


class Streams:
    """Every stream of this process. Safe to share between threads."""

    def __init__(
        self,
        make_sight: Callable[[], Looking],
        *,
        most: int,
        most_per_address: int,
        every_sec: float,
    ) -> None:
        """Hold no stream yet, and look at nothing.

        Args:
            make_sight: Makes what looks, for as long as there are streams.
            most: Streams at once.
            most_per_address: Of them, those of one address, so that nobody takes every place.
            every_sec: How often it looks.
        """
        self._make_sight = make_sight
        self._most = most
        self._most_per_address = most_per_address
        self._every_sec = every_sec
        self._open: dict[Subscription, str] = {}
        self._reader: Thread | None = None
        self._lock = Lock()
        self._wake = Event()
        self._closed = False
        self._is_told_to_end: Callable[[], bool] = lambda: False
        self.is_blind = False
        """Whether the database is away, so that nothing is seen."""

    def open(
        self,
        viewer: Viewer,
        post_ids: Sequence[UUID],
        held: Held,
        *,
        address: str = "",
        cut: Callable[[], None] = lambda: None,
    ) -> Subscription:
        """Begin a stream; what its receiver does not hold is offered at once.

        Raises:
            StreamsFull: this process or this address has as many as it may, or the process is
                about to end.
        """
        subscription = Subscription(viewer, post_ids, held, cut=cut)
        with self._lock:
            if self.are_ending or self._has_no_place_for(address):
                FULL.inc()
                raise StreamsFull
            self._open[subscription] = address
            OPEN.inc()
            if self._reader is None:
                self._reader = Thread(target=self._read, name="streams", daemon=True)
                self._reader.start()
        self._wake.set()
        return subscription

    def close(self, subscription: Subscription) -> None:
        """Forget a stream; idempotent."""
        subscription.end()
        with self._lock:
            if subscription in self._open:
                del self._open[subscription]
                OPEN.dec()

    @property
    def are_ending(self) -> bool:
        """Whether the process is about to end, and every stream before it."""
        return self._closed or self._is_told_to_end()

    def end_when(self, is_told_to_end: Callable[[], bool]) -> None:
        """Have every stream end within a second of this becoming true. It is asked often."""
        self._is_told_to_end = is_told_to_end

    def end_all(self) -> None:
        """End every stream and the looking, and take no more."""
        self._closed = True
        with self._lock:
            reader, subscriptions = self._reader, list(self._open)
        for subscription in subscriptions:
            subscription.end()
        self._wake.set()
        if reader is not None:
            reader.join(JOIN_SEC)

    def _has_no_place_for(self, address: str) -> bool:
        theirs = sum(holder == address for holder in self._open.values())
        return len(self._open) >= self._most or theirs >= self._most_per_address

    def _read(self) -> None:
        """The reader's life: as long as there are streams."""
        try:
            sight = self._make_sight()
            while subscriptions := self._watched():
                self._look(sight, subscriptions)
                for subscription in subscriptions:
                    if subscription.drop_if_stuck(STUCK_SEC):
                        log.info("stream_dropped", posts=len(subscription.post_ids))
                self._wake.wait(self._every_sec)
        except Exception:
            # Nothing is seen any more: whoever follows had better poll, and come again.
            log.exception("streams_failed")
            with self._lock:
                self._reader = None
                subscriptions = list(self._open)
            for subscription in subscriptions:
                subscription.end()

    def _watched(self) -> list[Subscription]:
        """The streams to look for; when there are none, this reader is none any more."""
        # Before the streams are counted: one that comes later wakes us again.
        self._wake.clear()
        with self._lock:
            if not self._open or self._closed:
                self._reader = None
                return []
            return list(self._open)

    def _look(self, sight: Looking, subscriptions: Sequence[Subscription]) -> None:
        followed: dict[Viewer, set[UUID]] = {}
        for subscription in subscriptions:
            followed.setdefault(subscription.viewer, set()).update(subscription.post_ids)
        try:
            seen = sight.look(followed)
        except SQLAlchemyError as error:
            if not self.is_blind:
                log.warning("streams_see_nothing", error=type(error).__name__)
            self.is_blind = True
            return
        self.is_blind = False
        for subscription in subscriptions:
            subscription.offer(seen[subscription.viewer])
