"""The streams of one process, with a scripted sight in place of the database."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from api.live.event_stream import Document
from api.live.hub import Streams, StreamsFull
from api.live.stream_tickets import PUBLIC, Viewer
from api.live.subscription import Subscription
from api.live.viewer_documents import Followed, Seen

PATIENCE_SEC = 60.0
POSTS = [uuid4() for _ in range(3)]
OWNER = Viewer(owner_id="ana")


class Scripted:
    """Sees the same document of every post, and remembers what it was asked to look at."""

    def __init__(self) -> None:
        self.text = "first"
        self.error: Exception | None = None
        self.looks: list[Followed] = []
        self.looked = threading.Condition()

    def read(self, followed: Followed) -> Seen:
        with self.looked:
            self.looks.append(followed)
            self.looked.notify_all()
            if self.error is not None:
                raise self.error
            document = Document("asset", self.text)
        return {viewer: dict.fromkeys(posts, document) for viewer, posts in followed.items()}

    def wait_for(self, met: Callable[[list[Followed]], bool]) -> None:
        with self.looked:
            assert self.looked.wait_for(lambda: met(self.looks), PATIENCE_SEC)

    def wait_for_one_more(self) -> None:
        seen = len(self.looks)
        # Two: one may have begun before now.
        self.wait_for(lambda looks: len(looks) >= seen + 2)


@contextmanager
def streams_over(scripted: Scripted, *, most: int = 10) -> Iterator[Streams]:
    streams = Streams(lambda: scripted, most=most, most_per_address=5, every_sec=0.01)
    try:
        yield streams
    finally:
        streams.end_all()
        for subscription in list(streams._open):
            streams.close(subscription)  # the figure of open streams is the whole process's


def texts(taken: Mapping[UUID, Document]) -> dict[UUID, str]:
    return {post_id: document.data for post_id, document in taken.items()}


def test_one_look_serves_everybody_and_nobody_is_sent_the_same_twice() -> None:
    scripted = Scripted()
    with streams_over(scripted) as streams:
        followers = [
            streams.open(viewer, POSTS, {}) for viewer in (PUBLIC, PUBLIC, OWNER, OWNER, OWNER)
        ]
        for follower in followers:
            assert texts(follower.take(PATIENCE_SEC)) == dict.fromkeys(POSTS, "first")
        scripted.wait_for_one_more()
        latest = scripted.looks[-1]
        assert {viewer: set(posts) for viewer, posts in latest.items()} == {
            PUBLIC: set(POSTS),
            OWNER: set(POSTS),
        }
        assert all(follower.take(0.0) == {} for follower in followers)
        scripted.text = "second"
        for follower in followers:
            assert texts(follower.take(PATIENCE_SEC)) == dict.fromkeys(POSTS, "second")


def test_what_a_receiver_holds_is_not_sent_again() -> None:
    held = {POSTS[0]: Document("asset", "first").digest, POSTS[1]: b"older!"}
    with streams_over(Scripted()) as streams:
        taken = streams.open(PUBLIC, POSTS, held).take(PATIENCE_SEC)
    assert taken.keys() == {POSTS[1], POSTS[2]}


def test_nothing_is_looked_at_once_nobody_follows() -> None:
    scripted = Scripted()
    with streams_over(scripted) as streams:
        follower = streams.open(PUBLIC, POSTS, {})
        scripted.wait_for_one_more()
        reader = streams._thread
        assert reader is not None
        streams.close(follower)
        reader.join(PATIENCE_SEC)
        assert not reader.is_alive()
        again = streams.open(PUBLIC, POSTS, {})
        assert again.take(PATIENCE_SEC).keys() == set(POSTS)


def test_a_process_keeps_so_many_streams_and_no_more() -> None:
    with streams_over(Scripted(), most=2) as streams:
        one, _ = streams.open(PUBLIC, POSTS, {}), streams.open(PUBLIC, POSTS, {})
        with pytest.raises(StreamsFull):
            streams.open(PUBLIC, POSTS, {})
        streams.close(one)
        streams.close(one)
        streams.open(PUBLIC, POSTS, {})
        with pytest.raises(StreamsFull):
            streams.open(PUBLIC, POSTS, {})


def test_one_address_takes_its_share_of_the_places_and_leaves_the_rest() -> None:
    with streams_over(Scripted(), most=7) as streams:
        taken = [streams.open(PUBLIC, POSTS, {}, address="192.0.2.1") for _ in range(5)]
        with pytest.raises(StreamsFull):
            streams.open(PUBLIC, POSTS, {}, address="192.0.2.1")
        streams.open(PUBLIC, POSTS, {}, address="192.0.2.2")
        streams.close(taken[0])
        streams.open(PUBLIC, POSTS, {}, address="192.0.2.1")


def test_one_owner_has_one_share_however_many_keys_they_use() -> None:
    with streams_over(Scripted(), most=7) as streams:
        for number in range(5):
            streams.open(Viewer("ana", False, uuid4()), POSTS, {}, address=f"192.0.2.{number}")
        with pytest.raises(StreamsFull):
            streams.open(Viewer("ana", False, uuid4()), POSTS, {}, address="192.0.2.9")
        streams.open(Viewer("boris", False, uuid4()), POSTS, {}, address="192.0.2.9")


def test_while_the_database_is_away_streams_stay_and_then_go_on() -> None:
    scripted = Scripted()
    scripted.error = OperationalError("SELECT", None, Exception("away"))
    with capture_logs() as logs, streams_over(scripted) as streams:
        follower = streams.open(PUBLIC, POSTS, {})
        scripted.wait_for_one_more()
        assert streams.is_database_away
        assert not follower.has_ended
        scripted.error = None
        assert follower.take(PATIENCE_SEC).keys() == set(POSTS)
        assert not streams.is_database_away
    assert [line["event"] for line in logs] == ["streams_see_nothing"]


def test_a_fault_of_our_own_ends_the_streams_and_not_the_next_ones() -> None:
    scripted = Scripted()
    scripted.error = ValueError("a bug")
    with capture_logs() as logs, streams_over(scripted) as streams:
        follower = streams.open(PUBLIC, POSTS, {})
        assert follower.take(PATIENCE_SEC) == {}
        assert follower.has_ended
        scripted.error = None
        assert streams.open(PUBLIC, POSTS, {}).take(PATIENCE_SEC).keys() == set(POSTS)
    assert [line["event"] for line in logs] == ["streams_failed"]


def test_a_process_that_is_told_to_end_takes_no_more_streams() -> None:
    with streams_over(Scripted()) as streams:
        streams.end_when(lambda: True)
        assert streams.are_ending
        with pytest.raises(StreamsFull):
            streams.open(PUBLIC, POSTS, {})


def test_what_is_overtaken_before_it_is_taken_is_never_sent() -> None:
    subscription = Subscription(PUBLIC, POSTS[:1], {})
    for number in range(1000):
        subscription.offer({POSTS[0]: Document("asset", str(number))})
    assert texts(subscription.take(0.0)) == {POSTS[0]: "999"}
    for text in ("1000", "999"):
        subscription.offer({POSTS[0]: Document("asset", text)})
    # It is as it was when it was last sent.
    assert subscription.take(0.0) == {}


def test_a_receiver_that_does_not_read_is_dropped_and_one_that_waits_is_not() -> None:
    now, cut = [0.0], []
    subscription = Subscription(
        PUBLIC, POSTS, {}, cut=lambda: cut.append(True), clock=lambda: now[0]
    )
    subscription.take(0.0)
    now[0] = 9.0
    assert not subscription.drop_if_stuck(10.0)
    subscription.take(0.0)
    now[0] = 18.0
    assert not subscription.drop_if_stuck(10.0)
    now[0] = 20.0
    assert subscription.drop_if_stuck(10.0)
    assert subscription.has_ended
    assert cut == [True]
