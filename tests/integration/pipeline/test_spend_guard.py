"""What bounds the cost of an account: k are claimed of a budget of k, and the others wait."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import pytest
import redis
from sqlalchemy import text

from pipeline.config.task_names import wake_submit
from pipeline.domain.states import Status
from pipeline.lifecycle.submit import submit
from pipeline.lifecycle.sweep import expire, sweep, tidy
from pipeline.limits import spend_guard
from pipeline.runtime.database import session_of
from pipeline.services import Services
from tests.crashing.boundary import Boundary
from tests.crashing.interruptions import dying_at, meanwhile
from tests.integration.pipeline.conftest import World, with_changed
from tests.integration.pipeline.steps import report
from tests.integration.pipeline.test_concurrency import at_once

NEAR_SEC = 20
"""A test that begins this close to the end of a clock hour would see two of them."""

CLIP_SEC = 5.31

Limited = Callable[..., Services]


@pytest.fixture(autouse=True)
def within_one_hour(world: World) -> None:
    while spend_guard.sec_to_next_hour(clock(world)) < NEAR_SEC:
        time.sleep(0.1)


@pytest.fixture
def limited(world: World) -> Limited:
    """The world's services with an hourly budget."""

    def limit(assets: int | None = None, minutes: float | None = None) -> Services:
        changed = {"assets_per_hour": assets, "minutes_per_hour": minutes}
        return with_changed(world.services, "spend", **changed)

    return limit


def clock(world: World) -> datetime:
    with session_of(world.services.engine) as session:
        now: datetime = session.scalars(text("SELECT clock_timestamp()")).one()
        return now


def books(world: World) -> tuple[int, float]:
    """What the account has had, of all hours."""
    with session_of(world.services.engine) as session:
        row = session.execute(
            text("SELECT coalesce(sum(assets), 0), coalesce(sum(media_sec), 0) FROM provider_spend")
        ).one()
    return int(row[0]), round(float(row[1]), 2)


def let_the_hour_pass(world: World) -> None:
    world.execute("UPDATE provider_spend SET hour = hour - interval '1 hour'")
    world.execute("UPDATE provider_attempts SET created_at = created_at - interval '1 hour'")


def deadline(world: World, asset_id: UUID) -> datetime:
    found = world.asset(asset_id).deadline_at
    assert found is not None
    return found


def held_until(world: World, asset_id: UUID) -> datetime:
    found = world.asset(asset_id).next_attempt_at
    assert found is not None
    return found


def about(a: timedelta, b: timedelta) -> bool:
    """Whether two waits are the same, but for the time between two statements."""
    return abs(a - b) < timedelta(seconds=1)


def test_what_has_no_budget_waits_for_the_next_hour_and_says_why_once(
    world: World, limited: Limited
) -> None:
    services = limited(assets=1)
    assert submit(services, world.create()).result == "submitted"
    asset_id = world.create()
    before = world.asset(asset_id)

    for _ in range(2):
        assert submit(services, asset_id).result == "held"
        assert submit(services, asset_id).result == "nothing_to_submit"
        world.make_past(asset_id, "next_attempt_at")
    assert submit(services, asset_id).result == "held"

    asset = world.asset(asset_id)
    assert (asset.status, asset.hold_reason) == (Status.QUEUED, "spend_guard")
    assert (asset.attempt, asset.failures, asset.claims) == (0, 0, 0)
    assert asset.lease_token == before.lease_token
    assert world.types(asset_id) == ["created", "held"]
    said = world.chronicle(asset_id)[-1].detail
    assert said["code"] == "spend_guard"
    assert "budget" in said["message"]
    next_hour = clock(world).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    assert next_hour <= held_until(world, asset_id) <= next_hour + timedelta(seconds=61)
    assert books(world)[0] == 1


def test_held_time_does_not_count_towards_the_deadline(world: World, limited: Limited) -> None:
    services = limited(assets=1)
    submit(services, world.create())
    asset_id = world.create()
    left = deadline(world, asset_id) - clock(world)

    submit(services, asset_id)

    assert about(deadline(world, asset_id) - held_until(world, asset_id), left)
    assert expire(services, asset_id).result == "not_due"

    submit_all = limited(assets=2)
    sweep(submit_all)  # the budget was raised: what is not waited out is not given either
    assert about(deadline(world, asset_id) - clock(world), left)


@pytest.mark.parametrize("how", ["the next hour", "a raised budget", "no budget"])
def test_the_ordinary_sweep_takes_up_what_was_held_after(
    world: World, limited: Limited, how: str
) -> None:
    services = limited(assets=1)
    submit(services, world.create())
    asset_ids = [world.create(), world.create()]
    assert [submit(services, asset_id).result for asset_id in asset_ids] == ["held", "held"]
    assert sweep(services).wakes == ()

    if how == "the next hour":
        let_the_hour_pass(world)
    else:
        services = limited(assets=2 if how == "a raised budget" else None)
    wakes = sweep(services).wakes

    # No more are woken than there is room for: the others would come for nothing.
    woken = [wake.id for wake in wakes]
    assert len(woken) == (2 if how == "no budget" else 1)
    assert set(woken) <= set(asset_ids)
    assert [submit(services, asset_id).result for asset_id in woken] == ["submitted"] * len(woken)
    assert {world.asset(asset_id).hold_reason for asset_id in woken} == {None}


def test_of_many_at_once_exactly_as_many_as_the_budget_holds_are_claimed(
    world: World, limited: Limited
) -> None:
    services = limited(assets=3)
    asset_ids = [world.create() for _ in range(10)]

    told = Counter(at_once(*[lambda id_=id_: submit(services, id_).result for id_ in asset_ids]))

    assert told == {"submitted": 3, "held": 7}
    assert len(world.provider.jobs) == 3
    assert books(world)[0] == 3


def test_an_empty_broker_resets_nothing(world: World, limited: Limited, broker_url: str) -> None:
    services = limited(assets=1)
    submit(services, world.create())
    with redis.Redis.from_url(broker_url) as broker:
        broker.flushall()

    assert submit(services, world.create()).result == "held"


def test_minutes_are_reserved_as_declared_and_booked_as_measured(world: World) -> None:
    asset_id = world.create(duration_sec=12.0)
    seen: list[tuple[int, float]] = []

    with meanwhile(Boundary.SUBMIT_CLAIMED, lambda: seen.append(books(world))):
        assert submit(world.services, asset_id).result == "submitted"

    assert seen == [(1, 12.0)]
    assert books(world) == (1, CLIP_SEC)


def test_minutes_that_do_not_fit_wait_but_the_first_of_an_hour_always_fits(
    world: World, limited: Limited
) -> None:
    services = limited(minutes=0.2)
    longer_than_the_budget = world.create(duration_sec=60.0)
    assert submit(services, longer_than_the_budget).result == "submitted"  # measured: about 5 s
    too_long, short = world.create(duration_sec=9.0), world.create(duration_sec=5.0)

    assert submit(services, too_long).result == "held"
    assert submit(services, short).result == "submitted"
    assert sweep(services).wakes == ()  # what still does not fit is not woken for nothing

    let_the_hour_pass(world)
    assert sweep(services).wakes == (wake_submit(too_long),)


def test_a_takeover_pays_nothing_more(world: World, limited: Limited) -> None:
    services = limited(assets=1, minutes=1)
    asset_id = world.create()
    with dying_at(Boundary.SUBMIT_INTENDED):
        submit(services, asset_id)
    paid = books(world)
    world.make_past(asset_id, "lease_expires_at")

    submit(services, asset_id)
    world.make_past(asset_id, "lease_expires_at")
    submit(services, asset_id)

    assert "lease_taken_over" in world.types(asset_id)
    assert books(world) == paid


def test_a_new_attempt_pays_again_and_one_that_was_refused_pays_nothing(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    job = world.provider.fail(world.attempt_id(asset_id), "encode_failed", retryable=True)
    assert report(world, job, "job.failed") == "retrying"
    assert books(world)[0] == 1

    world.provider.script.append("503")
    world.make_past(asset_id, "next_attempt_at")
    assert submit(world.services, asset_id).result == "retrying"
    assert books(world) == (1, CLIP_SEC)

    world.make_past(asset_id, "next_attempt_at")
    assert submit(world.services, asset_id).result == "submitted"
    assert books(world) == (2, 2 * CLIP_SEC)


def test_books_of_hours_long_past_are_forgotten(world: World) -> None:
    for age in (0, spend_guard.KEPT_DAYS - 1, spend_guard.KEPT_DAYS + 1):
        world.execute(
            "INSERT INTO provider_spend VALUES ('p', now() - make_interval(days => :age), 1, 0)",
            age=age,
        )

    tidy(world.services)
    tidy(world.services)

    assert books(world)[0] == 2
