"""Every read and every figure is served by an index, however many rows there are."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from pipeline.domain.states import Status
from pipeline.operations import metrics
from pipeline.records import queries
from pipeline.runtime.database import make_engine, session_of
from tests.integration.api.conftest import World

Reading = Callable[[Session], Any]


@pytest.fixture
def many_assets(world: World, role_urls: Mapping[str, str]) -> Iterator[World]:
    """Two thousand failed assets with an event each, of which the planner knows."""
    owner = make_engine(role_urls["owner"])
    with session_of(world.superuser) as session:
        session.execute(
            text("""
                WITH made AS (
                    INSERT INTO video_assets (id, post_id, owner_id, source_url, max_attempts,
                        provider, status, error_code, last_seq)
                    SELECT gen_random_uuid(), gen_random_uuid(), 'ana', 'https://a.example/', 5,
                        'selfhosted', 'failed', 'source_corrupt', 1 FROM generate_series(1, 2000)
                    RETURNING id)
                INSERT INTO video_processing_events (asset_id, seq, type, actor, generation)
                SELECT id, 1, 'created', 'owner:ana', 1 FROM made
            """)
        )
    with owner.begin() as connection:
        connection.execute(text("ANALYZE video_assets, video_processing_events"))
    yield world
    owner.dispose()


READINGS: dict[str, tuple[Reading, set[str]]] = {
    # Without rows that wait or an inbox the planner may choose any of their indexes; some with rows
    # are in tests/integration/schema/test_query_plans.py.
    "backlogs": (metrics.backlogs, {"video_assets_poll"}),
    "the asset of a post": (
        lambda session: session.scalars(queries.select_asset(uuid4())).one_or_none(),
        {"video_assets_post_live"},
    ),
    "a page of the operators' list": (
        lambda session: queries.assets_in_status(
            session,
            Status.FAILED,
            before=queries.PageCursor(datetime.now(UTC), uuid4()),
            limit=50,
        ),
        {"video_assets_status_updated"},
    ),
}


@pytest.mark.parametrize(("read", "indexes"), READINGS.values(), ids=READINGS.keys())
def test_an_index_serves_it(many_assets: World, read: Reading, indexes: set[str]) -> None:
    plan = _plan_of(many_assets, read)
    assert indexes <= {node["Index Name"] for node in plan if "Index Name" in node}


def test_a_page_of_the_operators_list_is_read_in_order_and_never_sorted(
    many_assets: World,
) -> None:
    read, _ = READINGS["a page of the operators' list"]
    plan = _plan_of(many_assets, read)
    assert not [node for node in plan if "Sort" in node["Node Type"]]
    (scan,) = [node for node in plan if "Index Name" in node]
    assert scan["Scan Direction"] == "Backward"
    assert "ROW(updated_at, id)" in scan["Index Cond"]


def test_a_page_of_the_chronicle_is_read_by_its_key(many_assets: World) -> None:
    with session_of(many_assets.engine) as session:
        post_id = session.execute(text("SELECT post_id FROM video_assets LIMIT 1")).scalar_one()
    plan = _plan_of(
        many_assets, lambda s: queries.chronicle_page(s, post_id, after=0, limit=100), number=-1
    )
    scans = [node for node in plan if "Scan" in node["Node Type"]]
    assert scans
    assert all("asset_id" in node.get("Index Cond", "") for node in scans)


def _plan_of(world: World, read: Reading, *, number: int = 0) -> list[dict[str, Any]]:
    """The nodes of the plan of one of the statements that ``read`` sends."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    with session_of(world.engine) as session:
        # A table of a test is small enough to be read whole: what counts is that an index serves.
        session.execute(text("SET LOCAL enable_seqscan = off"))
        event.listen(world.engine, "before_cursor_execute", note)
        read(session)
        event.remove(world.engine, "before_cursor_execute", note)
        statement, parameters = asked[number]
        explained = session.connection().exec_driver_sql(
            f"EXPLAIN (FORMAT JSON) {statement}", parameters
        )
        return list(_nodes(explained.scalar_one()[0]["Plan"]))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)
