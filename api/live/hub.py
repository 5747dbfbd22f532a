"""The open streams of this process, and the one thread that reads the database for all of them.

While a stream is open, one thread reads every followed post once a second and offers the documents
to every stream. No stream holds a database session, and more streams of the same posts cost no
further statement. While the database is unavailable, streams stay open and continue afterwards;
polling would not give the receiver more.
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
"""The longest time to send a few events; slow connections need a moment only."""
JOIN_SEC = 10.0
"""The wait for the reader's last statement when the streams end."""

OPEN = Gauge("khronika_stream_clients", "Open streams of live status.", multiprocess_mode="livesum")
FULL = Counter("khronika_stream_full", "Streams refused because the process had its fill of them.")

log = structlog.get_logger()


class DocumentReader(Protocol):
    """Reads the documents of followed posts."""

    def read(self, followed: Followed) -> Seen:
        """Return the current documents of each viewer's posts."""
        ...


class StreamsFull(Exception):
    """This process accepts no further stream."""


class Streams:
    """Every stream of this process; safe for any number of threads."""

    def __init__(
        self,
        make_reader: Callable[[], DocumentReader],
        *,
        most: int,
        most_per_address: int,
        every_sec: float,
    ) -> None:
        """Start without streams; nothing is read until one opens.

        Args:
            make_reader: Makes the reader of documents, which lives as long as there are streams.
            most: The most streams at once.
            most_per_address: The most streams of one address, and of one owner's tickets, so that
                one cannot take every place.
            every_sec: The interval of reading.
        """
        self._make_reader = make_reader
        self._most = most
        self._most_per_address = most_per_address
        self._every_sec = every_sec
        self._open: dict[Subscription, str] = {}
        self._thread: Thread | None = None
        self._lock = Lock()
        self._wake = Event()
        self._closed = False
        self._is_process_ending: Callable[[], bool] = lambda: False
        self.is_database_away = False
        """True while the database cannot be read."""

    def open(
        self,
        viewer: Viewer,
        post_ids: Sequence[UUID],
        held: Held,
        *,
        address: str = "",
        cut: Callable[[], None] = lambda: None,
    ) -> Subscription:
        """Open a stream; documents that its receiver does not have are offered at once.

        Raises:
            StreamsFull: This process, this address or this owner has as many streams as it may, or
                the process is ending.
        """
        subscription = Subscription(viewer, post_ids, held, cut=cut)
        with self._lock:
            if self.are_ending or self._is_full_for(address, viewer):
                FULL.inc()
                raise StreamsFull
            self._open[subscription] = address
            OPEN.inc()
            if self._thread is None:
                self._thread = Thread(target=self._run, name="streams", daemon=True)
                self._thread.start()
        self._wake.set()
        return subscription

    def close(self, subscription: Subscription) -> None:
        """End and remove a stream; idempotent."""
        subscription.end()
        with self._lock:
            if subscription in self._open:
                del self._open[subscription]
                OPEN.dec()

    @property
    def are_ending(self) -> bool:
        """True if the process, and every stream with it, is ending."""
        return self._closed or self._is_process_ending()

    def end_when(self, is_process_ending: Callable[[], bool]) -> None:
        """End every stream within a second after this function returns True; it is called often."""
        self._is_process_ending = is_process_ending

    def end_all(self) -> None:
        """End every stream and the reading; accept no more streams."""
        self._closed = True
        with self._lock:
            thread, subscriptions = self._thread, list(self._open)
        for subscription in subscriptions:
            subscription.end()
        self._wake.set()
        if thread is not None:
            thread.join(JOIN_SEC)

    def _is_full_for(self, address: str, viewer: Viewer) -> bool:
        of_address = sum(client == address for client in self._open.values())
        owner = viewer.owner_id  # however many keys they have
        of_owner = sum(stream.viewer.owner_id == owner for stream in self._open) if owner else 0
        return len(self._open) >= self._most or self._most_per_address <= max(of_address, of_owner)

    def _run(self) -> None:
        """Read and offer documents as long as there are streams."""
        try:
            reader = self._make_reader()
            while subscriptions := self._next_subscriptions():
                self._offer_documents(reader, subscriptions)
                for subscription in subscriptions:
                    if subscription.drop_if_stuck(STUCK_SEC):
                        log.info("stream_dropped", posts=len(subscription.post_ids))
                self._wake.wait(self._every_sec)
        except Exception:
            # Nothing is read any more: the streams end, so that receivers poll and reconnect.
            log.exception("streams_failed")
            with self._lock:
                self._thread = None
                subscriptions = list(self._open)
            for subscription in subscriptions:
                subscription.end()

    def _next_subscriptions(self) -> list[Subscription]:
        """Return the streams to read for; if there are none, this thread ends."""
        # Cleared before the streams are listed: a stream that opens later wakes the thread again.
        self._wake.clear()
        with self._lock:
            if not self._open or self._closed:
                self._thread = None
                return []
            return list(self._open)

    def _offer_documents(
        self, reader: DocumentReader, subscriptions: Sequence[Subscription]
    ) -> None:
        followed: dict[Viewer, set[UUID]] = {}
        for subscription in subscriptions:
            followed.setdefault(subscription.viewer, set()).update(subscription.post_ids)
        try:
            seen = reader.read(followed)
        except SQLAlchemyError as error:
            if not self.is_database_away:
                log.warning("streams_see_nothing", error=type(error).__name__)
            self.is_database_away = True
            return
        self.is_database_away = False
        for subscription in subscriptions:
            if subscription.viewer in seen:
                subscription.offer(seen[subscription.viewer])
            else:
                subscription.end()  # its API key has been revoked
