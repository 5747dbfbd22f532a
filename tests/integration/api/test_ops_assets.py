"""The page of one video: its chronicle, its attempts and callbacks, and what may be done to it."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from pipeline.domain.states import Status
from pipeline.records.models import AuditEvent, Delivery
from pipeline.runtime.database import make_engine, session_of
from tests.integration.api.conftest import Client, World
from tests.integration.api.operator import Operator, Page, signed_in

EVIL = "<img src=x onerror=alert(1)>\"'<script>alert(2)</script>{{ 7 * 7 }}"
TEN_THOUSAND = 10_000


def audits(world: World) -> list[AuditEvent]:
    with session_of(world.engine) as session:
        return list(session.scalars(select(AuditEvent).order_by(AuditEvent.id)))


def long_chronicle(world: World, asset_id: str) -> None:
    """Let the chronicle have ten thousand events, a second apart; each hundredth is a failure."""
    with session_of(world.engine) as session:
        session.execute(
            text("""
                INSERT INTO video_processing_events (asset_id, seq, type, from_status, to_status,
                    actor, generation, attempt, created_at)
                SELECT :asset_id, n, CASE WHEN n % 100 = 0 THEN 'failed' ELSE 'looked_up' END,
                    CASE WHEN n % 100 = 0 THEN 'processing'::video_processing_status END,
                    CASE WHEN n % 100 = 0 THEN 'failed'::video_processing_status END,
                    'worker', 1, n / 50, now() + n * interval '1 second'
                FROM generate_series(2, :last) n
            """),
            {"asset_id": asset_id, "last": TEN_THOUSAND},
        )


def shown(page: Page) -> list[int]:
    """The numbers of the events on a page, in order."""
    return [int(number) for number in page.of_class("seq")]


def follow(operator: Operator, page: Page, word: str) -> Page:
    """Go where the link goes whose address has this in it."""
    [address] = {link for link in page.links if word in link}
    return operator.get(address)


def test_ten_thousand_events_are_paged_from_either_end(api: Client, world: World) -> None:
    asset = api.create().json()
    long_chronicle(world, asset["id"])
    operator = signed_in(api)
    path = f"/ops/assets/{asset['id']}"
    last = operator.get(path)
    assert shown(last) == list(range(9901, 10_001))
    earlier = follow(operator, last, "before=9901")
    assert shown(earlier) == list(range(9801, 9901))
    first = follow(operator, last, "after=0")
    assert shown(first) == list(range(1, 101))
    assert shown(follow(operator, first, "after=100")) == list(range(101, 201))
    failures = operator.get(f"{path}?failures=1")
    assert shown(failures) == list(range(100, 10_001, 100))
    assert len(last.answer.content) < 200_000


def test_an_event_tells_how_long_after_the_one_before_and_of_which_attempt(
    api: Client, world: World
) -> None:
    asset = api.create().json()
    long_chronicle(world, asset["id"])
    page = signed_in(api).get(f"/ops/assets/{asset['id']}?after=60")
    gaps = page.of_class("gap")
    assert gaps[0] == "+1.0 s"
    assert gaps == ["+1.0 s"] * 100
    headings = [words for words in page.of_tag("h3") if words.startswith("Attempt")]
    assert headings == [f"Attempt {number}, generation 1" for number in (1, 2, 3)]
    edges = page.of_class("edge")
    assert edges == ["processing → failed"]
    failures = signed_in(api).get(f"/ops/assets/{asset['id']}?failures=1&after=100")
    assert set(failures.of_class("gap")) == {"+1 min 40 s"}


@pytest.mark.parametrize("query", ["after=-1", "before=x", "after=99999999999999999999"])
def test_an_address_that_no_page_makes_is_refused_in_words(api: Client, query: str) -> None:
    asset = api.create().json()
    page = signed_in(api).get(f"/ops/assets/{asset['id']}?{query}")
    assert (page.status, "validation_failed" in page.text) == (422, True)


def test_what_is_not_there_is_said_to_be_missing(api: Client) -> None:
    page = signed_in(api).get(f"/ops/assets/{uuid4()}")
    assert (page.status, "asset_not_found" in page.text) == (404, True)
    assert page.answer.headers["X-Request-Id"] in page.text


def receive(api: Client, world: World, asset_id: str, **columns: Any) -> UUID:
    """A delivery that was found to be about the video."""
    delivery_id = uuid4()
    row = {
        "id": delivery_id,
        "provider": "selfhosted",
        "event_id": f"msg_{delivery_id.hex}",
        "headers": {"webhook-id": "msg", "X-Api-Key": "hunter2hunter2"},
        "body": b'{"type": "job.completed"}',
        "body_sha256": "ab" * 32,
        **columns,
    }
    with session_of(api.services.engines.api) as session:
        session.execute(Delivery.__table__.insert().values(row))  # type: ignore[attr-defined]
    with session_of(world.engine) as session:
        session.execute(
            text("""UPDATE webhook_deliveries SET asset_id = :asset_id, tries = 3,
                        status = 'dead', reason = 'worker_crashed', next_try_at = NULL
                    WHERE id = :id"""),
            {"id": delivery_id, "asset_id": asset_id},
        )
    return delivery_id


def everything(api: Client, world: World) -> str:
    """A video of which every text that others chose is hostile."""
    asset = api.create(title=EVIL).json()
    world.move(asset["id"], Status.PROCESSING, attempt=1, provider_job_id=EVIL)
    world.move(asset["id"], Status.FAILED, error_code="provider_failed", error_message=EVIL)
    attempt_id = uuid4()
    with session_of(world.superuser) as session:  # the policies allow no such event type and actor
        session.execute(
            text("""INSERT INTO provider_attempts (id, asset_id, generation, number, provider,
                        provider_job_id, provider_request_id, outcome, error_code, error_message)
                    VALUES (:id, :asset_id, 1, 1, 'selfhosted', :evil, :evil, 'failed',
                        'provider_failed', :evil)"""),
            {"id": attempt_id, "asset_id": asset["id"], "evil": EVIL},
        )
        session.execute(
            text("""INSERT INTO video_outputs (id, asset_id, generation, attempt_id, manifest_url,
                        fallback_url, poster_url, thumbnail_url, renditions, duration_sec, width,
                        height)
                    VALUES (gen_random_uuid(), :asset_id, 1, :id, 'm', 'f', 'p', 't',
                        jsonb_build_array(jsonb_build_object(CAST(:evil AS text),
                            CAST(:evil AS text))), 1, 2, 2)"""),
            {"id": attempt_id, "asset_id": asset["id"], "evil": EVIL},
        )
        session.execute(
            text("""INSERT INTO video_processing_events (asset_id, seq, type, actor, generation,
                        provider, provider_job_id, provider_request_id, provider_event_id, detail)
                    VALUES (:asset_id, 100, :evil, :evil, 1, 'selfhosted', :evil, :evil, :evil,
                        jsonb_build_object(CAST(:evil AS text), CAST(:evil AS text)))"""),
            {"asset_id": asset["id"], "evil": EVIL},
        )
    return str(asset["id"])


def test_nothing_that_others_wrote_becomes_markup(api: Client, world: World) -> None:
    asset_id = everything(api, world)
    delivery = receive(
        api,
        world,
        asset_id,
        event_id=EVIL,
        body=EVIL.encode() + b"\xff\x00" + b"x" * 9000,
        headers={EVIL: EVIL},
        body_sha256=EVIL,
    )
    operator = signed_in(api)
    paths = (
        f"/ops/assets/{asset_id}",
        f"/ops/assets/{asset_id}/retry",
        "/ops/failed",
        "/ops/failed/retry?all=1",
        "/ops/inbox?status=dead",
        f"/ops/inbox/{delivery}",
        f"/ops/inbox?asset={asset_id}",
    )
    for path in paths:
        page = operator.get(path)
        assert page.status == 200
        assert EVIL in page.raw_text, path
        assert "img" not in page.tags
        assert "alert(2)" not in page.scripts
        assert "onerror" not in page.attributes
    for asked in (f"/ops/search?q={EVIL}x", f"/ops/audit?actor={EVIL}", f"/ops/failed?code={EVIL}"):
        assert "img" not in operator.get(asked).tags


def test_callbacks_are_shown_with_what_became_of_them_and_no_secret(
    api: Client, world: World
) -> None:
    asset = api.create().json()
    secret = api.services.settings.media_urls.key
    body = f'{{"type": "job.completed", "leak": "{secret}"}}'.encode()
    delivery_id = receive(api, world, asset["id"], body=body + b" " * 20_000)
    operator = signed_in(api)
    on_asset = operator.get(f"/ops/assets/{asset['id']}")
    for words in ("worker_crashed", "3 tries", "ab" * 8, f"msg_{delivery_id.hex}"):
        assert words in on_asset.text
    page = operator.get(f"/ops/inbox/{delivery_id}")
    assert "job.completed" in page.text
    assert "20.1 KB" in page.text
    assert "8.19 KB" in page.text
    assert len(page.answer.content) < 20_000
    for hidden in (secret, "hunter2hunter2"):
        assert hidden not in page.answer.text
    reader = signed_in(api, "operator_read").get(f"/ops/inbox/{delivery_id}")
    assert "ab" * 32 in reader.text
    assert "job.completed" not in reader.text


def in_state_for(action: str, api: Client, world: World) -> str:
    asset_id = str(api.create().json()["id"])
    if action == "retry":
        world.fail(asset_id)
    if action == "reencode":
        world.complete(asset_id)
    return asset_id


AFTERWARDS = {
    "retry": Status.QUEUED,
    "cancel": Status.FAILED,
    "reencode": Status.QUEUED,
    "delete": Status.QUEUED,
}


@pytest.mark.parametrize("action", AFTERWARDS)
def test_what_is_done_is_asked_first_done_once_and_written_down(
    api: Client, world: World, action: str
) -> None:
    asset_id = in_state_for(action, api, world)
    operator = signed_in(api)
    page = operator.get(f"/ops/assets/{asset_id}")
    asked = follow(operator, page, f"/{action}")
    before = world.asset(asset_id)
    form = asked.form(f"/ops/assets/{asset_id}/{action}")
    done = operator.submit(form)
    after = world.asset(asset_id)
    assert done.status == 200
    assert (after.status, after.deleted_at is not None) == (AFTERWARDS[action], action == "delete")
    assert after.lease_token == before.lease_token + 1
    assert [event.actor for event in world.events(asset_id)][-1] == "operator:ops"
    entry = audits(world)[-1]
    assert (entry.type, entry.actor, entry.source) == (action, "operator:ops", "127.0.0.1")
    assert entry.detail == {"post_id": str(after.post_id), "asset_id": asset_id}
    assert "operator:ops" in operator.get("/ops/audit").text
    again = operator.submit(form)
    assert again.status == 409
    assert len(audits(world)) == 2  # the first is of the signing in


def test_a_post_that_has_another_video_by_now_keeps_it(api: Client, world: World) -> None:
    first = api.create().json()
    operator = signed_in(api)
    form = operator.get(f"/ops/assets/{first['id']}/cancel").form(
        f"/ops/assets/{first['id']}/cancel"
    )
    api.call("DELETE", f"/api/video-assets/{first['post_id']}")
    second = api.create(UUID(first["post_id"])).json()
    refused = operator.submit(form)
    assert (refused.status, "asset_deleted" in refused.text) == (409, True)
    assert world.asset(second["id"]).status is Status.QUEUED


def test_a_source_is_shown_without_what_may_open_it(api: Client) -> None:
    url = "https://videos.example:443/holiday.mp4"
    asset = api.create(source_url=f"{url}?X-Amz-Signature=0123456789abcdef").json()
    page = signed_in(api).get(f"/ops/assets/{asset['id']}")
    assert url in page.text
    assert "0123456789abcdef" not in page.answer.text


def test_a_video_is_found_by_each_of_its_ids(api: Client, world: World) -> None:
    asset = api.create().json()
    attempt_id = uuid4()
    with session_of(world.superuser) as session:  # the policies allow no such event type and actor
        session.execute(
            text("""INSERT INTO provider_attempts (id, asset_id, generation, number, provider,
                        provider_job_id) VALUES (:id, :asset_id, 1, 1, 'selfhosted', 'job-77')"""),
            {"id": attempt_id, "asset_id": asset["id"]},
        )
    operator = signed_in(api)
    for words in (asset["id"], asset["post_id"], str(attempt_id), " job-77 "):
        found = operator.get("/ops/search", params={"q": words})
        assert found.answer.url == f"{api.url}/ops/assets/{asset['id']}"
    for words in (str(uuid4()), "nothing", "\0"):
        assert operator.get("/ops/search", params={"q": words}).tags.count("li") == 0


def test_the_live_part_is_asked_for_alone_and_not_sent_again(api: Client, world: World) -> None:
    asset = api.create().json()
    world.fail(asset["id"])
    operator = signed_in(api)
    for path in ("/ops", "/ops/failed", "/ops/inbox", f"/ops/assets/{asset['id']}"):
        part = operator.get(path, headers={"X-Fragment": "live"})
        assert part.status == 200
        assert "html" not in part.tags
        tag = part.answer.headers["ETag"]
        again = operator.get(path, headers={"X-Fragment": "live", "If-None-Match": tag})
        assert (again.status, again.answer.content) == (304, b"")
    assert api.post("/api/video-assets/retry", {"post_id": asset["post_id"]}).status_code == 202
    changed = operator.get(
        f"/ops/assets/{asset['id']}", headers={"X-Fragment": "live", "If-None-Match": tag}
    )
    assert (changed.status, "queued" in changed.text) == (200, True)


def test_the_overview_is_shown_without_the_figure_that_is_missing(
    api: Client, world: World, role_urls: dict[str, str]
) -> None:
    world.complete(api.create().json()["id"])
    world.fail(api.create().json()["id"])
    operator = signed_in(api)
    page = operator.get("/ops")
    assert "50.0 %" in page.text
    assert "could not be read" not in page.text
    owner = make_engine(role_urls["owner"])
    with owner.begin() as connection:
        connection.execute(text("REVOKE SELECT ON provider_spend FROM khronika_operator"))
    owner.dispose()
    page = operator.get("/ops")
    assert page.status == 200
    assert "could not be read" in page.text
    assert "50.0 %" in page.text


def test_the_differences_of_the_published_outputs_are_shown(api: Client, world: World) -> None:
    asset = api.create().json()
    world.complete(asset["id"])
    world.amend(asset["id"], warnings=[{"code": "frame_rate_lowered", "detail": "120 to 60"}])

    page = signed_in(api).get(f"/ops/assets/{asset['id']}")

    assert "frame_rate_lowered" in page.text
    assert "The number of frames a second was lowered." in page.text
