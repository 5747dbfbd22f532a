"""Places in the queue: a number for whoever waits, made of rows that they may not see."""

from collections.abc import Iterator, Mapping
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from pipeline.records.queue_position import queue_places
from tests.integration.schema.conftest import entered

ASSET = """
    INSERT INTO video_assets (id, post_id, owner_id, source_url, max_attempts, provider, status,
        error_code, attempt_id, next_attempt_at, deadline_at)
    SELECT :id, gen_random_uuid(), :owner, 'https://v.example/', 5, 'selfhosted', s.status,
        CASE WHEN s.status = 'retrying' THEN 'source_timeout' END,
        CASE WHEN s.status = 'processing' THEN gen_random_uuid() END,
        CASE WHEN s.status <> 'processing' THEN now() + :due_in * interval '1 second' END,
        now() + interval '1 day'
    FROM (SELECT CAST(:status AS video_processing_status) AS status) s
"""
MANY = """
    INSERT INTO video_assets (id, post_id, owner_id, source_url, max_attempts, provider, status,
        next_attempt_at, completed_at, published_output_id, deadline_at)
    SELECT gen_random_uuid(), gen_random_uuid(), 'crowd', 'https://v.example/', 5, 'selfhosted',
        s.status,
        CASE WHEN s.status = 'queued' THEN now() - interval '1 hour' - n * interval '1 second' END,
        CASE WHEN s.status = 'completed' THEN now() - n * interval '10 seconds' END,
        CASE WHEN s.status = 'completed' THEN gen_random_uuid() END,
        CASE WHEN s.status = 'queued' THEN now() + interval '1 day' END
    FROM (SELECT CAST(:status AS video_processing_status) AS status) s, generate_series(1, :count) n
"""


@pytest.fixture
def operator(role_urls: Mapping[str, str], superuser_url: str | None) -> Iterator[Connection]:
    """One transaction that is never committed, of an operator who may make videos of any state."""
    with entered(superuser_url or role_urls["operator"]) as connection:
        yield connection


def asset(connection: Connection, *, status: str = "queued", due_in: int = -60) -> UUID:
    added = {"id": uuid4(), "owner": "ana", "status": status, "due_in": due_in}
    connection.execute(text(ASSET), added)
    return UUID(str(added["id"]))


def crowd(connection: Connection, status: str, count: int) -> None:
    connection.execute(text(MANY), {"status": status, "count": count})


def places(connection: Connection, *wanted: UUID) -> list[int | None]:
    found = queue_places(Session(connection), wanted)
    return [found[one].position if one in found else None for one in wanted]


def test_the_longest_overdue_is_next(operator: Connection) -> None:
    last = asset(operator, due_in=-1)
    first = asset(operator, due_in=-90)
    second = asset(operator, status="retrying", due_in=-30)

    assert places(operator, first, second, last) == [1, 2, 3]


@pytest.mark.parametrize(("status", "due_in"), [("queued", 60), ("processing", -1)])
def test_what_does_not_wait_or_is_not_due_has_no_place_and_takes_none(
    operator: Connection, status: str, due_in: int
) -> None:
    other = asset(operator, status=status, due_in=due_in)
    waiting = asset(operator, due_in=-1)

    assert places(operator, other, waiting) == [None, 1]


def test_what_was_deleted_takes_no_place(operator: Connection) -> None:
    deleted = asset(operator)
    operator.execute(text("UPDATE video_assets SET deleted_at = now()"))

    assert places(operator, deleted, asset(operator)) == [None, 1]


def test_an_owner_is_told_a_number_that_others_rows_are_in(
    role_urls: Mapping[str, str], operator: Connection
) -> None:
    crowd(operator, "queued", 3)
    mine = asset(operator)
    operator.commit()

    with entered(role_urls["api"]) as connection:
        assert places(connection, mine) == [4]
        assert connection.scalar(text("SELECT count(*) FROM video_assets")) == 0


def test_a_place_far_back_is_not_counted_out(operator: Connection) -> None:
    crowd(operator, "queued", 1000)

    assert places(operator, asset(operator)) == [None]


@pytest.mark.parametrize(("completed", "wait_sec"), [(4, None), (20, 2 * 10.0), (400, 2 * 10.0)])
def test_the_wait_goes_by_the_pace_of_the_last_hour(
    operator: Connection, completed: int, wait_sec: float | None
) -> None:
    crowd(operator, "completed", completed)
    crowd(operator, "queued", 1)
    mine = asset(operator)

    told = queue_places(Session(operator), [mine])[mine]

    assert (told.position, told.wait_sec) == (2, wait_sec)
