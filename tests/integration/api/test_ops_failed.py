"""The failed list and the retry of many: previewed, bounded, written down."""

from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from api.ops.bulk_runs import BATCHES_OF_A_REQUEST
from pipeline.domain.states import Status
from pipeline.lifecycle.bulk_retry import BATCH
from pipeline.records.models import Asset, AuditEvent, Event
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import Client, World
from tests.integration.api.operator import Operator, Page, signed_in

THOUSAND = 1000
OF_CODE = {"source_timeout": 500, "expired": 300, "encode_failed": 200}


@pytest.fixture
def thousand(api: Client, world: World) -> Client:
    """A thousand failed videos: of three codes, of two accounts, the older the higher their id."""
    with session_of(world.superuser) as session:
        session.execute(
            text("""
                INSERT INTO video_assets (id, post_id, owner_id, source_url, max_attempts, provider,
                    status, error_code, title, updated_at, last_seq)
                SELECT CAST('00000000-0000-0000-0000-' || lpad(to_hex(n), 12, '0') AS uuid),
                    gen_random_uuid(), 'ana', 'https://v.example/' || n, 5,
                    CASE WHEN n % 10 = 0 THEN 'another' ELSE 'selfhosted' END, 'failed',
                    CASE WHEN n % 10 < 5 THEN 'source_timeout' WHEN n % 10 < 8 THEN 'expired'
                         ELSE 'encode_failed' END,
                    'video ' || n, now() - n * interval '1 hour', 0
                FROM generate_series(1, :total) n
            """),
            {"total": THOUSAND},
        )
    return api


def numbers(page: Page) -> list[int]:
    """Which of the thousand are on a page, in order."""
    listed = [link.removeprefix("/ops/assets/") for link in page.links if "/ops/assets/" in link]
    return [UUID(asset_id).int for asset_id in listed]


def by_status(world: World) -> dict[Status, int]:
    with session_of(world.engine) as session:
        rows = session.execute(select(Asset.status, func.count()).group_by(Asset.status))
        return {row[0]: row[1] for row in rows}


def audited(world: World, type_: str) -> list[AuditEvent]:
    with session_of(world.engine) as session:
        chosen = select(AuditEvent).where(AuditEvent.type == type_)
        return list(session.scalars(chosen.order_by(AuditEvent.id)))


def to_the_end(operator: Operator, page: Page) -> tuple[Page, int]:
    """Go on with a retry of many until it is done; also how many forms that took."""
    sent = 0
    while (goes := [f for f in page.forms if f.action == "/ops/failed/retry"]) and sent < 100:
        page, sent = operator.submit(goes[0]), sent + 1
        assert page.status == 200
    return page, sent


def tiles(page: Page) -> dict[str, str]:
    return dict(zip(page.of_tag("dt"), page.of_tag("dd"), strict=True))


def test_a_thousand_are_grouped_by_why_and_read_page_by_page(thousand: Client) -> None:
    operator = signed_in(thousand)
    page = operator.get("/ops/failed")
    for code, total in OF_CODE.items():
        assert f"{total} {code}" in page.text
    seen = numbers(page)
    assert seen == list(range(1, 51))
    while (following := [link for link in page.links if "before=" in link]) and len(seen) < 2000:
        page = operator.get(following[0])
        seen += numbers(page)
    assert seen == list(range(1, THOUSAND + 1))


FILTERS = {
    "code=expired": [5, 6, 7, 15],
    "provider=another": [10, 20, 30, 40],
    "code=source_timeout&provider=another": [10, 20, 30, 40],
    "age=week&code=encode_failed&provider=selfhosted": [8, 9, 18, 19],
    "age=older": [168, 169, 170, 171],
    "age=older&code=nothing": [],
}


def test_it_is_narrowed_by_code_account_and_age(thousand: Client) -> None:
    operator = signed_in(thousand)
    for query, first in FILTERS.items():
        assert numbers(operator.get(f"/ops/failed?{query}"))[:4] == first, query


@pytest.mark.parametrize("query", ["age=ever", "before=x", "before=MjAyNi0wMS0wMSB4"])
def test_a_filter_that_means_nothing_is_refused_in_words(api: Client, query: str) -> None:
    page = signed_in(api).get(f"/ops/failed?{query}")
    assert (page.status, "validation_failed" in page.text) == (422, True)


def test_all_that_match_are_retried_batch_by_batch_after_a_preview(
    thousand: Client, world: World
) -> None:
    operator = signed_in(thousand)
    form = operator.get("/ops/failed?code=source_timeout").form("/ops/failed/retry")
    preview = operator.submit(form, ("all", "1"))
    assert "Retry 500 failed videos?" in preview.text
    assert len(numbers(preview)) == 10
    assert by_status(world) == {Status.FAILED: THOUSAND}
    assert audited(world, "retry") == []

    outcome, sent = to_the_end(operator, preview)
    assert sent == -(-500 // (BATCH * BATCHES_OF_A_REQUEST)) + 1
    assert tiles(outcome) == {"matched": "500", "retried": "500", "skipped": "0"}
    assert by_status(world) == {Status.FAILED: 500, Status.QUEUED: 500}
    [begun] = audited(world, "bulk_retry")
    assert (begun.detail["code"], begun.detail["matched"]) == ("source_timeout", "500")
    each = audited(world, "retry")
    assert len({entry.detail["asset_id"] for entry in each}) == 500
    assert {entry.detail["run"] for entry in each} == {begun.detail["run"]}
    with session_of(world.engine) as session:
        events = session.execute(select(Event.type, Event.actor).distinct()).all()
    assert [tuple(event) for event in events] == [("retried", "operator:ops")]


def test_who_failed_again_since_the_preview_is_not_taken_up_twice(
    thousand: Client, world: World
) -> None:
    operator = signed_in(thousand)
    preview = operator.get("/ops/failed/retry?all=1&code=encode_failed")
    asset_id = str(UUID(int=8))
    world.move(asset_id, Status.QUEUED)
    world.fail(asset_id, "encode_failed")
    outcome, _ = to_the_end(operator, preview)
    assert tiles(outcome) == {"matched": "200", "retried": "199", "skipped": "1"}
    assert world.asset(asset_id).status is Status.FAILED


def test_only_the_ticked_are_retried_and_those_that_moved_on_are_skipped(
    thousand: Client, world: World
) -> None:
    operator = signed_in(thousand)
    form = operator.get("/ops/failed").form("/ops/failed/retry")
    preview = operator.submit(form, *form.ticks[:5])
    assert "Retry 5 failed videos?" in preview.text
    world.move(str(UUID(int=1)), Status.QUEUED)
    with session_of(thousand.services.engines.operator) as session:
        session.execute(
            text("UPDATE video_assets SET deleted_at = now() WHERE id = :id"), {"id": UUID(int=2)}
        )
    outcome, sent = to_the_end(operator, preview)
    assert sent == 1
    assert tiles(outcome) == {"matched": "5", "retried": "3", "skipped": "2"}
    assert by_status(world) == {Status.FAILED: THOUSAND - 4, Status.QUEUED: 4}
    assert len(audited(world, "retry")) == 3


def test_the_same_form_twice_retries_nothing_more(thousand: Client, world: World) -> None:
    operator = signed_in(thousand)
    preview = operator.get("/ops/failed/retry?all=1&code=encode_failed&provider=selfhosted&age=day")
    form = preview.form("/ops/failed/retry")
    first, again = operator.submit(form), operator.submit(form)
    assert tiles(first) == {"matched": "4", "retried": "4", "skipped": "0"}
    assert tiles(again) == {"matched": "4", "retried": "0", "skipped": "4"}
    assert len(audited(world, "retry")) == 4


def test_nothing_ticked_offers_nothing_to_do(thousand: Client) -> None:
    preview = signed_in(thousand).get("/ops/failed/retry")
    assert "/ops/failed/retry" not in preview.actions()


@pytest.mark.parametrize("run", ["", "x", "WzFd.AAAA"])
def test_a_run_that_nobody_previewed_is_refused(api: Client, run: str) -> None:
    operator = signed_in(api)
    csrf = dict(operator.get("/ops").form("/ops/sign-out").fields)["csrf"]
    refused = operator.post("/ops/failed/retry", {"csrf": csrf, "run": run})
    assert (refused.status, "validation_failed" in refused.text) == (422, True)
