"""What one stream still has to send: the newest document of each post, and never an older one."""

from collections.abc import Callable, Mapping, Sequence
from threading import Condition
from time import monotonic
from uuid import UUID

from api.live.event_stream import Document, Held
from api.live.stream_tickets import Viewer


class Subscription:
    """A mailbox between the one reader and the stream's own thread.

    It holds one document a post at the most: what is overtaken before it was taken is never sent.
    So it cannot grow, and whoever offers does not wait.

    Attributes:
        viewer: As whom the posts are seen.
        post_ids: What is followed.
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
            held: What the receiver has already.
            cut: Breaks the connection under a thread that is stuck in sending.
        """
        self.viewer = viewer
        self.post_ids = tuple(post_ids)
        self._held = dict(held)
        self._cut = cut
        self._clock = clock
        self._pending: dict[UUID, Document] = {}
        self._sending_since: float | None = clock()
        self._ended = False
        self._news = Condition()

    def offer(self, seen: Mapping[UUID, Document]) -> None:
        """Keep of what is seen now what the receiver does not have."""
        with self._news:
            self._pending = {
                post_id: seen[post_id]
                for post_id in self.post_ids
                if post_id in seen and seen[post_id].digest != self._held.get(post_id)
            }
            self._news.notify_all()

    def take(self, wait_sec: float) -> Mapping[UUID, Document]:
        """Everything there is to send, as soon as there is anything; empty when nothing came."""
        with self._news:
            self._sending_since = None
            self._news.wait_for(lambda: self._pending or self._ended, wait_sec)
            taken, self._pending = self._pending, {}
            self._held |= {post_id: document.digest for post_id, document in taken.items()}
            self._sending_since = self._clock()
        return taken

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to be sent."""
        return self._ended

    def end(self) -> None:
        """Send nothing more; whoever waits in ``take`` returns at once. Idempotent."""
        with self._news:
            self._ended = True
            self._news.notify_all()

    def drop_if_stuck(self, patience_sec: float) -> bool:
        """End it where its thread has been sending for so long: its receiver does not read.

        Returns:
            Whether it was so.
        """
        with self._news:
            since = self._sending_since
            is_stuck = since is not None and self._clock() - since > patience_sec
        if is_stuck:
            self.end()
            self._cut()
        return is_stuck
