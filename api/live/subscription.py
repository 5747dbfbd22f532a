"""The unsent documents of one stream: the newest one of each post, never an older one."""

from collections.abc import Callable, Mapping, Sequence
from threading import Condition
from time import monotonic
from uuid import UUID

from api.live.event_stream import Document, Held
from api.live.stream_tickets import Viewer


class Subscription:
    """A mailbox between the one reader and the stream's own thread.

    It holds at most one document a post: a newer document replaces one that was not taken yet. So
    it cannot grow, and ``offer`` never waits.

    Attributes:
        viewer: The viewer of the posts.
        post_ids: The followed posts.
    """

    def __init__(
        self,
        viewer: Viewer,
        post_ids: Sequence[UUID],
        held: Held,
        *,
        cut: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Follow posts.

        Args:
            held: The documents that the receiver has already.
            cut: A function that shuts the connection down under a thread that is stuck in sending.
        """
        self.viewer = viewer
        self.post_ids = tuple(post_ids)
        self._held = dict(held)
        self._cut = cut
        self._clock = clock
        self._pending: dict[UUID, Document] = {}
        self._sending_since: float | None = clock()
        self._ended = False
        self._changed = Condition()

    def offer(self, seen: Mapping[UUID, Document]) -> None:
        """Keep the documents that the receiver does not have, in place of the earlier ones."""
        with self._changed:
            self._pending = {
                post_id: seen[post_id]
                for post_id in self.post_ids
                if post_id in seen and seen[post_id].digest != self._held.get(post_id)
            }
            self._changed.notify_all()

    def take(self, wait_sec: float) -> Mapping[UUID, Document]:
        """Return every unsent document as soon as there is one; empty if the wait ends first."""
        with self._changed:
            self._sending_since = None
            self._changed.wait_for(lambda: self._pending or self._ended, wait_sec)
            taken, self._pending = self._pending, {}
            self._held |= {post_id: document.digest for post_id, document in taken.items()}
            self._sending_since = self._clock()
        return taken

    @property
    def has_ended(self) -> bool:
        """True if nothing more is to be sent."""
        return self._ended

    def end(self) -> None:
        """End the stream; a thread that waits in ``take`` returns at once. Idempotent."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def drop_if_stuck(self, patience_sec: float) -> bool:
        """End the stream if its thread has been sending for so long: its receiver does not read.

        Returns:
            True if the stream was stuck.
        """
        with self._changed:
            since = self._sending_since
            is_stuck = since is not None and self._clock() - since > patience_sec
        if is_stuck:
            self.end()
            self._cut()
        return is_stuck
