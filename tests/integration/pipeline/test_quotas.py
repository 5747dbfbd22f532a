"""What bounds an owner: so much in flight, so much a day, counted in create's own transaction."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from pipeline.access.idempotency import IdempotencyKey
from pipeline.domain.errors import LimitReached
from pipeline.domain.values import CreateAsset
from pipeline.lifecycle.create import Created, create_asset
from pipeline.lifecycle.owner_actions import delete_asset, retry_asset
from pipeline.lifecycle.submit import submit
from pipeline.lifecycle.sweep import tidy
from pipeline.limits.spend_guard import KEPT_DAYS
from pipeline.runtime.database import make_engine, session_of, user_session
from pipeline.services import Services
from tests.crashing.boundary import Boundary
from tests.crashing.interruptions import dying_at
from tests.integration.pipeline.conftest import CLIP, OWNER, World, with_changed
from tests.integration.pipeline.test_concurrency import at_once

SOURCE = "https://videos.example/holiday.mp4"
CLIP_SEC = 5.31
CLIP_BYTES = CLIP.stat().st_size

Register = Callable[..., Created]


@pytest.fixture
def register(world: World) -> Iterator[Register]:
    """Register a video for an owner whose limits are these."""
    api = make_engine(world.api.api_login.url.get_secret_value(), pool_size=12)

    def create(
        limits: dict[str, float],
        *,
        owner: str = OWNER,
        post_id: UUID | None = None,
        upload_id: UUID | None = None,
        key: str | None = None,
        by: Engine | None = None,
        **declared: float,
    ) -> Created:
        source = None if upload_id else SOURCE
        request = CreateAsset(post_id or uuid4(), owner, source, upload_id, declared)
        with user_session(api, owner) if by is None else session_of(by) as session:
            return create_asset(
                session,
                request,
                provider="selfhosted",
                new_videos=world.api.new_videos,
                retry=world.api.retry,
                owner_limits=world.api.owner_limits.model_copy(update=limits),
                actor=f"owner:{owner}" if by is None else "operator:o",
                render=lambda asset: {"id": str(asset.id)},
                idempotency=IdempotencyKey(owner, "create", key, "") if key else None,
            )

    yield create
    api.dispose()


def refusal(deed: Callable[[], object]) -> LimitReached:
    with pytest.raises(LimitReached) as refused:
        deed()
    return refused.value


def rows(world: World, *tables: str) -> dict[str, int]:
    with session_of(world.services.engine) as session:
        return {
            table: session.scalars(text(f"SELECT count(*) FROM {table}")).one() for table in tables
        }


def usage(world: World, owner: str = OWNER) -> tuple[int, int, float]:
    """What the owner's days were charged, all together."""
    with session_of(world.services.engine) as session:
        row = session.execute(
            text("""
                SELECT coalesce(sum(assets), 0), coalesce(sum(bytes), 0),
                       coalesce(sum(media_sec), 0)
                FROM owner_usage WHERE owner_id = :owner
            """),
            {"owner": owner},
        ).one()
    return int(row[0]), int(row[1]), round(float(row[2]), 2)


def test_over_the_cap_nothing_is_written_and_a_key_may_be_used_again(
    world: World, register: Register
) -> None:
    cap = {"max_live": 1}
    post_id = uuid4()
    first = register(cap, post_id=post_id)
    tables = ("video_assets", "video_processing_events", "idempotency_keys", "owner_usage")
    before = rows(world, *tables), usage(world)

    refused = refusal(lambda: register(cap, key="k"))

    assert refused.code == "too_many_in_flight"
    assert refused.retry_after_sec > 0
    assert refused.extra == {"limit": 1, "used": 1}
    assert (rows(world, *tables), usage(world)) == before
    again = register(cap, post_id=post_id)
    assert (again.status_code, again.body) == (200, first.body)
    assert register(cap, owner="boris").status_code == 202
    world.execute("UPDATE video_assets SET deleted_at = now()")
    assert register(cap, key="k").status_code == 202


NOT_DUE = "next_attempt_at = NULL, deadline_at = NULL"


@pytest.mark.parametrize(
    "ended",
    [
        f"status = 'failed', error_code = 'expired', {NOT_DUE}",
        f"status = 'completed', published_output_id = gen_random_uuid(), {NOT_DUE}",
        "deleted_at = now()",
        "hold_reason = 'awaiting_enqueue', next_attempt_at = NULL",
    ],
)
def test_what_is_no_work_any_more_blocks_nobody(
    world: World, register: Register, ended: str
) -> None:
    register({"max_live": 1})
    world.execute(f"UPDATE video_assets SET {ended}")

    assert register({"max_live": 1}).status_code == 202


@pytest.mark.parametrize(
    "live",
    [
        "status = 'queued'",
        "status = 'retrying', error_code = 'source_timeout'",
        "status = 'processing', attempt_id = gen_random_uuid(), next_attempt_at = NULL",
    ],
    ids=["queued", "retrying", "processing"],
)
def test_what_is_live_counts(world: World, register: Register, live: str) -> None:
    register({"max_live": 1})
    world.execute(f"UPDATE video_assets SET {live}")

    assert refusal(lambda: register({"max_live": 1})).code == "too_many_in_flight"


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"max_live": 3}, "too_many_in_flight"),
        ({"daily_assets": 3}, "quota_exceeded"),
        ({"daily_media_sec": 30.0}, "quota_exceeded"),
    ],
)
def test_of_many_at_once_exactly_as_many_pass_as_there_is_room_for(
    world: World, register: Register, limits: dict[str, float], code: str
) -> None:
    deadline = time.monotonic() + 30

    def persist() -> str:
        while time.monotonic() < deadline:
            try:
                return str(register(limits, duration_sec=10.0).status_code)
            except LimitReached as refused:
                if refused.code != "owner_busy":
                    return refused.code
        return "never"

    told = Counter(at_once(*[persist] * 10))

    assert told == {"202": 3, code: 7}
    assert usage(world) == (3, 0, 30.0)


def test_creates_of_an_owner_take_turns_also_where_one_is_of_the_day_before(
    world: World, register: Register
) -> None:
    with session_of(world.operator) as before_midnight:  # which has another day's row locked
        before_midnight.execute(text("SELECT khronika_live_assets(:owner)"), {"owner": OWNER})

        assert refusal(lambda: register({})).code == "owner_busy"
        assert register({}, owner="boris").status_code == 202

    assert register({}).status_code == 202


def test_an_operator_registers_within_the_limits_of_the_owner(
    world: World, register: Register
) -> None:
    register({}, by=world.operator)

    assert usage(world)[0] == 1
    for limits in ({"max_live": 1}, {"daily_assets": 1}):
        refusal(lambda limits=limits: register(limits, by=world.operator))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("limits", "numbers"),
    [
        ({"daily_assets": 1}, {"quota": "assets", "limit": 1, "used": 1, "asked": 1}),
        ({"daily_bytes": 50}, {"quota": "bytes", "limit": 50, "used": 40, "asked": 20}),
        (
            {"daily_media_sec": 10.0},
            {"quota": "media_sec", "limit": 10.0, "used": 7.5, "asked": 5.0},
        ),
    ],
)
def test_over_a_quota_it_says_which_and_when_it_begins_anew(
    world: World, register: Register, limits: dict[str, float], numbers: dict[str, object]
) -> None:
    register(limits, size_bytes=40, duration_sec=7.5)

    refused = refusal(lambda: register(limits, size_bytes=20, duration_sec=5.0))

    assert (refused.code, refused.extra) == ("quota_exceeded", numbers)
    assert all(f"{numbers[name]:.0f}" in str(refused) for name in ("limit", "used", "asked"))
    with session_of(world.services.engine) as session:
        midnight_sec = session.scalars(
            text("""SELECT extract(epoch FROM date_trunc('day', now(), 'UTC') + interval '1 day'
                    - now())""")
        ).one()
    assert abs(float(midnight_sec) - refused.retry_after_sec) < 60
    assert usage(world) == (1, 40, 7.5)

    world.execute("UPDATE owner_usage SET day = day - 1")  # midnight passes
    assert register(limits, size_bytes=20, duration_sec=5.0).status_code == 202


def test_where_nothing_is_left_nothing_unknown_is_taken(register: Register) -> None:
    limits = {"daily_bytes": 40}
    register(limits, size_bytes=40)

    assert refusal(lambda: register(limits)).code == "quota_exceeded"


def test_an_upload_is_charged_with_what_was_measured(world: World, register: Register) -> None:
    upload_id, post_id = uuid4(), uuid4()
    with session_of(world.operator) as session:
        session.execute(
            text("""
                INSERT INTO uploads (id, owner_id, post_id, filename, mime_type, size_bytes,
                    storage_key, expires_at, received_bytes, completed_at, source_info)
                VALUES (:id, :owner, :post_id, 'a.mp4', 'video/mp4', 9, 'k', now(), 9, now(),
                    CAST(:info AS jsonb))
            """),
            {
                "id": upload_id,
                "owner": OWNER,
                "post_id": post_id,
                "info": json.dumps({"duration_sec": 2.5}),
            },
        )

    register({}, post_id=post_id, upload_id=upload_id, size_bytes=1, duration_sec=1.0)

    assert usage(world) == (1, 9, 2.5)


@pytest.mark.parametrize("boundary", [Boundary.SUBMIT_VERIFIED, Boundary.SUBMIT_INTENDED])
def test_what_a_remote_source_turns_out_to_be_is_charged_once(
    world: World, boundary: Boundary
) -> None:
    asset_id = world.create(size_bytes=10, duration_sec=60.0)
    assert usage(world) == (1, 10, 60.0)
    with dying_at(boundary):
        submit(world.services, asset_id)
    for _ in range(2):
        world.make_past(asset_id, "lease_expires_at")
        submit(world.services, asset_id)

    assert usage(world) == (1, CLIP_BYTES, CLIP_SEC)


@pytest.mark.parametrize("limits", [{"daily_media_sec": 8.0}, {"daily_bytes": CLIP_BYTES + 100}])
def test_what_turns_out_to_be_more_than_the_day_holds_is_not_submitted_that_day(
    world: World, limits: dict[str, float]
) -> None:
    services = limited(world, limits)
    submit(services, world.create(size_bytes=1, duration_sec=1.0))
    asset_id = world.create(size_bytes=1, duration_sec=1.0)
    for _ in range(2):  # an impatient owner tries it again at once
        assert submit(services, asset_id).result == "failed"
        asset = world.asset(asset_id)
        assert (asset.error_code, asset.source_info) == ("quota_exceeded", None)
        assert usage(world) == (2, CLIP_BYTES + 1, round(CLIP_SEC + 1, 2))
        with session_of(world.operator) as session:
            retry_asset(
                session,
                asset.post_id,
                retry=world.api.retry,
                owner_limits=world.api.owner_limits,
                actor="operator:ops",
            )
    assert len(world.provider.puts) == 1

    world.execute("UPDATE owner_usage SET day = day - 1")  # midnight passes
    assert submit(services, asset_id).result == "submitted"

    assert usage(world) == (2, 2 * CLIP_BYTES, round(2 * CLIP_SEC, 2))


def test_of_many_that_turn_out_to_be_more_only_what_the_day_holds_is_submitted(
    world: World,
) -> None:
    services = limited(world, {"daily_media_sec": 2 * CLIP_SEC + 1})
    assets = [world.create() for _ in range(3)]

    told = at_once(*[partial(submit, services, asset_id) for asset_id in assets])

    assert sorted(outcome.result for outcome in told) == ["failed", "submitted", "submitted"]


def test_what_was_said_truly_is_submitted_though_the_day_has_been_used_up(world: World) -> None:
    asset_id = world.create(size_bytes=CLIP_BYTES, duration_sec=CLIP_SEC)
    world.create(duration_sec=1000.0)

    services = limited(world, {"daily_media_sec": 8.0, "daily_bytes": 8})
    assert submit(services, asset_id).result == "submitted"


def limited(world: World, limits: dict[str, float]) -> Services:
    """A worker that is told these limits of an owner's day."""
    return with_changed(world.services, "owner_limits", **limits)


def test_neither_another_attempt_nor_deleting_changes_what_was_charged(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    world.provider.fail(world.attempt_id(asset_id), "encode_failed", retryable=True)
    world.execute(
        "UPDATE video_assets SET status = 'retrying', error_code = 'encode_failed',"
        " next_attempt_at = now(), next_poll_at = NULL"
    )
    assert submit(world.services, asset_id).result == "submitted"
    with session_of(world.operator) as session:
        delete_asset(session, world.asset(asset_id).post_id, actor="operator:o")

    assert usage(world) == (1, CLIP_BYTES, CLIP_SEC)


def test_days_long_past_are_forgotten(world: World) -> None:
    for age in (0, KEPT_DAYS - 1, KEPT_DAYS + 1):
        world.execute(
            "INSERT INTO owner_usage VALUES ('ana', current_date - :age, 1, 0, 0)", age=age
        )

    tidy(world.services)
    tidy(world.services)

    assert usage(world)[0] == 2
