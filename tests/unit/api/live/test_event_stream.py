from uuid import UUID, uuid4

import pytest

from api.live.event_stream import (
    DIGEST_BYTES,
    UNKNOWN,
    Document,
    read_id,
    write_comment,
    write_event,
    write_id,
)

POSTS = [uuid4() for _ in range(100)]


def test_an_event_is_its_fields_and_an_empty_line() -> None:
    written = write_event(Document("asset", '{"a":1}'), "abc")
    assert written == 'event: asset\nid: abc\ndata: {"a":1}\n\n'
    assert write_comment("still here") == ": still here\n\n"


def test_an_id_gives_back_what_its_receiver_holds_in_whatever_order_posts_are_named() -> None:
    held = {post_id: Document("asset", str(post_id)).digest for post_id in POSTS[:60]}
    written = write_id(POSTS, held)
    assert read_id(POSTS[::-1], written) == held


def test_an_id_of_the_most_posts_fits_a_header() -> None:
    assert len(write_id(POSTS, {})) == 800


@pytest.mark.parametrize("event_id", ["", "x", "====", "AAAA", "é", write_id(POSTS[:99], {})])
def test_an_id_that_is_none_holds_nothing(event_id: str) -> None:
    assert read_id(POSTS, event_id) == {}


def test_documents_that_differ_have_digests_that_differ() -> None:
    same, other = Document("asset", "{}"), Document("gone", "{}")
    assert same.digest == Document("asset", "{}").digest
    assert len({same.digest, other.digest, UNKNOWN}) == 3
    assert len(same.digest) == DIGEST_BYTES


def test_an_id_made_for_other_posts_matches_nothing() -> None:
    digest = Document("asset", "one").digest
    written = write_id([UUID(int=1)], {UUID(int=1): digest})
    assert read_id([UUID(int=2)], written)[UUID(int=2)] != Document("asset", "two").digest
