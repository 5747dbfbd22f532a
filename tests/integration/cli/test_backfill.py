from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, text

from pipeline.config.groups import load_settings
from pipeline.domain.errors import Unprocessable
from pipeline.domain.hold_reasons import AWAITING_ENQUEUE
from pipeline.domain.states import Status
from pipeline.domain.values import Playback
from pipeline.net.fetch import FetchPolicy
from pipeline.operations.backfill import Page, backfill_page
from pipeline.process_settings import OperatorSettings
from pipeline.records import due
from pipeline.records.models import Asset, Event
from pipeline.records.site_posts import Posts, check_posts, count_videos
from pipeline.records.transitions import NEVER
from pipeline.runtime.database import make_engine, session_of
from tests.integration.api.conftest import World
from tests.integration.cli.conftest import Site, khronika

POSTS = Posts("posts")


@pytest.fixture
def settings(environment: Mapping[str, str]) -> OperatorSettings:
    return load_settings(OperatorSettings)


def backfill(
    engine: Engine,
    settings: OperatorSettings,
    *,
    enqueue: bool = False,
    dry_run: bool = False,
    after: UUID | None = None,
    size: int = 500,
) -> Page:
    with session_of(engine) as session:
        return backfill_page(
            session,
            POSTS,
            provider="selfhosted",
            new_videos=settings.new_videos,
            retry=settings.retry,
            policy=FetchPolicy(),
            actor="operator:ops",
            after=after,
            size=size,
            enqueue=enqueue,
            dry_run=dry_run,
        )


def assets(engine: Engine) -> dict[UUID, Asset]:
    with session_of(engine) as session:
        return {asset.post_id: asset for asset in session.scalars(select(Asset))}


def events(engine: Engine, asset: Asset) -> list[tuple[int, str, str]]:
    chosen = select(Event).where(Event.asset_id == asset.id).order_by(Event.seq)
    with session_of(engine) as session:
        return [(event.seq, event.type, event.actor) for event in session.scalars(chosen)]


def test_a_registered_post_has_the_installations_playback_policy(
    site: Site, operator: Engine, settings: OperatorSettings
) -> None:
    post_id = site.post()

    signed = settings.new_videos.model_copy(update={"playback": Playback.SIGNED})
    backfill(operator, replace(settings, new_videos=signed))

    assert assets(operator)[post_id].playback == "signed"


def test_a_registered_post_is_held_for_as_long_as_nobody_enqueues_it(
    site: Site, operator: Engine, settings: OperatorSettings, role_urls: Mapping[str, str]
) -> None:
    post_id = site.post(owner_id="ana")

    page = backfill(operator, settings)

    asset = assets(operator)[post_id]
    assert (page.registered, page.enqueued, page.existing) == (1, 0, 0)
    assert (asset.status, asset.owner_id) == (Status.QUEUED, "ana")
    assert asset.source_url == "https://videos.example/holiday.mp4"
    assert (asset.next_attempt_at, asset.hold_reason) == (None, AWAITING_ENQUEUE)
    assert asset.deadline_at == NEVER
    assert events(operator, asset) == [(1, "created", "operator:ops")]

    worker = make_engine(role_urls["worker"], pool_size=1)
    with session_of(worker) as session:
        assert due.waiting_assets(session, grace_sec=0) == []
        assert due.past_deadlines(session) == []
    worker.dispose()


def test_enqueuing_later_makes_what_was_registered_due_and_starts_its_deadline(
    site: Site, operator: Engine, settings: OperatorSettings, role_urls: Mapping[str, str]
) -> None:
    post_id = site.post()
    backfill(operator, settings)

    page = backfill(operator, settings, enqueue=True)

    asset = assets(operator)[post_id]
    assert (page.registered, page.enqueued, page.existing) == (0, 1, 1)
    assert asset.hold_reason is None
    assert asset.deadline_at is not None
    assert asset.next_attempt_at is not None
    waits = (asset.deadline_at - asset.next_attempt_at).total_seconds()
    assert waits == pytest.approx(settings.retry.wait_deadline_sec, abs=1)
    assert events(operator, asset) == [
        (1, "created", "operator:ops"),
        (2, "enqueued", "operator:ops"),
    ]
    worker = make_engine(role_urls["worker"], pool_size=1)
    with session_of(worker) as session:
        assert due.waiting_assets(session, grace_sec=0) == [asset.id]
    worker.dispose()


def test_enqueuing_at_once_registers_and_queues(
    site: Site, operator: Engine, settings: OperatorSettings
) -> None:
    post_id = site.post()

    page = backfill(operator, settings, enqueue=True)

    asset = assets(operator)[post_id]
    assert (page.registered, page.enqueued) == (1, 1)
    assert asset.next_attempt_at is not None
    assert asset.hold_reason is None
    assert [kind for _, kind, _ in events(operator, asset)] == ["created"]


@pytest.mark.parametrize("enqueue", [False, True])
def test_running_again_changes_nothing(
    site: Site, operator: Engine, settings: OperatorSettings, enqueue: bool
) -> None:
    post_id = site.post()
    backfill(operator, settings, enqueue=enqueue)
    before = assets(operator)[post_id]

    page = backfill(operator, settings, enqueue=enqueue)

    after = assets(operator)[post_id]
    assert (page.registered, page.enqueued, page.existing) == (0, 0, 1)
    assert (after.id, after.last_seq, after.updated_at) == (
        before.id,
        before.last_seq,
        before.updated_at,
    )


def test_an_asset_that_is_under_way_is_left_alone(
    site: Site, operator: Engine, settings: OperatorSettings, world: World
) -> None:
    post_id = site.post()
    backfill(operator, settings, enqueue=True)
    with session_of(world.engine) as session:
        session.execute(
            text(
                "UPDATE video_assets SET status = 'processing', attempt = 1,"
                " attempt_id = gen_random_uuid(), next_attempt_at = NULL"
            )
        )

    page = backfill(operator, settings, enqueue=True)

    assert (page.enqueued, page.existing) == (0, 1)
    assert assets(operator)[post_id].status is Status.PROCESSING


def test_the_posts_are_not_touched(
    site: Site, operator: Engine, settings: OperatorSettings
) -> None:
    site.post()
    before = site.posts()

    backfill(operator, settings, enqueue=True)

    assert site.posts() == before


def test_posts_without_a_video_are_passed_over(
    site: Site, operator: Engine, settings: OperatorSettings
) -> None:
    site.post(media_kind="text", video_url=None)
    site.post(media_kind="image", video_url="https://videos.example/picture.jpg")
    site.post(media_kind="video", video_url=None)

    page = backfill(operator, settings)

    assert (page.seen, page.registered) == (0, 0)
    assert assets(operator) == {}


@pytest.mark.parametrize(
    ("owner_id", "video_url", "reason"),
    [
        (None, "https://videos.example/a.mp4", "owner_missing"),
        ("", "https://videos.example/a.mp4", "owner_missing"),
        ("x" * 129, "https://videos.example/a.mp4", "owner_too_long"),
        ("ana", "", "url_refused"),
        ("ana", "uploads/a.mp4", "url_refused"),
        ("ana", "file:///etc/passwd", "url_refused"),
        ("ana", "http://169.254.169.254/latest", "url_refused"),
        ("ana", "https://user:secret@videos.example/a.mp4", "url_refused"),
    ],
)
def test_a_post_that_cannot_be_registered_is_reported_with_its_reason(
    *,
    site: Site,
    operator: Engine,
    settings: OperatorSettings,
    owner_id: str | None,
    video_url: str,
    reason: str,
) -> None:
    bad = site.post(owner_id=owner_id, video_url=video_url)
    good = site.post()

    page = backfill(operator, settings)

    assert page.invalid == {bad: reason}
    assert set(assets(operator)) == {good}


def test_a_dry_run_counts_and_writes_nothing(
    site: Site, operator: Engine, settings: OperatorSettings
) -> None:
    site.post()
    site.post(owner_id=None)

    page = backfill(operator, settings, enqueue=True, dry_run=True)

    assert (page.seen, page.registered, page.enqueued, len(page.invalid)) == (2, 1, 1, 1)
    assert assets(operator) == {}


def test_pages_follow_each_other_without_gap_or_repetition(
    site: Site, operator: Engine, settings: OperatorSettings
) -> None:
    wanted = {site.post() for _ in range(7)}
    pages: list[Page] = []

    after: UUID | None = None
    while not pages or after is not None:
        pages.append(backfill(operator, settings, after=after, size=3))
        after = pages[-1].last

    assert [page.registered for page in pages] == [3, 3, 1]
    assert set(assets(operator)) == wanted


def test_posts_in_another_schema_with_another_owner_column_are_found(
    site: Site, operator: Engine, settings: OperatorSettings
) -> None:
    site.run('CREATE SCHEMA "Site"')
    site.run('GRANT USAGE ON SCHEMA "Site" TO khronika_operator')
    site.run(
        'CREATE TABLE "Site"."Posts" (id uuid, author uuid, media_kind varchar(9), video_url text)'
    )
    site.run('GRANT SELECT ON "Site"."Posts" TO khronika_operator')
    posts = Posts("Site.Posts", "author")

    with session_of(operator) as session:
        check_posts(session, posts)
        assert count_videos(session, posts) == 0


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ("DROP TABLE posts", "posts_table_missing", "no table posts"),
        (
            "REVOKE ALL ON posts FROM khronika_operator",
            "posts_table_closed",
            "GRANT SELECT ON posts TO khronika_operator",
        ),
        (
            "ALTER TABLE posts ENABLE ROW LEVEL SECURITY",
            "posts_table_closed",
            "CREATE POLICY",
        ),
        ("ALTER TABLE posts DROP COLUMN video_url", "posts_table_unsuitable", "video_url"),
        (
            "ALTER TABLE posts ALTER COLUMN id TYPE text USING id::text",
            "posts_table_unsuitable",
            "must be a uuid",
        ),
    ],
)
def test_a_table_that_cannot_be_read_says_what_to_do(
    site: Site, operator: Engine, change: str, code: str, said: str
) -> None:
    site.run(change)

    with pytest.raises(Unprocessable, match=said) as refused, session_of(operator) as session:
        check_posts(session, POSTS)

    assert refused.value.code == code


def test_row_security_with_a_policy_for_the_operator_is_no_obstacle(
    site: Site, operator: Engine
) -> None:
    site.run("ALTER TABLE posts ENABLE ROW LEVEL SECURITY")
    site.run("CREATE POLICY operator ON posts FOR SELECT TO khronika_operator USING (true)")

    with session_of(operator) as session:
        check_posts(session, POSTS)


def test_the_command_reports_what_it_did(
    site: Site, operator: Engine, environment: Mapping[str, str]
) -> None:
    for _ in range(3):
        site.post()
    site.post(owner_id=None)

    first = khronika("backfill", "--posts-table", "posts", "--limit", 2, "--json", env=environment)
    second = khronika("backfill", "--posts-table", "posts", "--json", env=environment)
    third = khronika("backfill", "--posts-table", "posts", "--enqueue", "--json", env=environment)

    assert (first.code, second.code, third.code) == (0, 0, 0)
    counted = ("registered", "enqueued", "existing")
    assert first.document["registered"] == 2
    assert [second.document[name] for name in counted] == [1, 0, 2]
    assert [third.document[name] for name in counted] == [0, 3, 3]
    assert second.document["invalid"] == {"owner_missing": 1}
    assert len(assets(operator)) == 3


def test_the_command_says_in_words_that_nothing_was_queued(
    site: Site, environment: Mapping[str, str]
) -> None:
    site.post()

    ran = khronika("backfill", "--posts-table", "posts", env=environment)

    assert ran.code == 0
    assert "1 registered" in ran.out
    assert "Nothing was queued" in ran.out


def test_the_command_without_a_table_is_a_usage_error(environment: Mapping[str, str]) -> None:
    ran = khronika("backfill", env=environment)

    assert ran.code == 2
    assert "KHRONIKA_POSTS_TABLE" in ran.err
