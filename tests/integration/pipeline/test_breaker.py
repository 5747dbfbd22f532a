"""A provider that is down is asked by one video at a time; the others wait and spend nothing."""

from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from pipeline.domain.states import Status
from pipeline.lifecycle.submit import submit
from pipeline.lifecycle.sweep import sweep
from pipeline.limits import circuit_breaker
from pipeline.records.models import ProviderBreaker
from pipeline.runtime.database import session_of
from pipeline.services import Services
from tests.crashing.boundary import Boundary
from tests.crashing.interruptions import dying_at
from tests.integration.pipeline.conftest import World, with_changed
from tests.integration.pipeline.test_concurrency import at_once

FAILURES = 3
OPEN_SEC = 40.0
CAP_SEC = 100.0


@pytest.fixture
def down(world: World) -> Services:
    """The world's services, whose provider has just been found to be down."""
    changed = {"failures": FAILURES, "open_sec": OPEN_SEC, "cap_sec": CAP_SEC}
    services = with_changed(world.services, "breaker", **changed)
    for _ in range(FAILURES):
        world.provider.script.append("503")
        assert submit(services, world.create()).result == "retrying"
    assert breaker(world).opened_at is not None
    return services


def breaker(world: World) -> ProviderBreaker:
    with session_of(world.services.engine) as session:
        return circuit_breaker.all_breakers(session)["selfhosted"]


def sec_to_probe(world: World) -> float:
    with session_of(world.services.engine) as session:
        wait = session.scalars(
            text("SELECT extract(epoch FROM probe_at - now())::float8 FROM provider_breakers")
        ).one()
    return float(wait)


def let_the_time_pass(world: World) -> None:
    """The breaker's, and that of all who wait for it."""
    world.execute("UPDATE provider_breakers SET probe_at = now()")
    world.execute(
        "UPDATE video_assets SET next_attempt_at = now() WHERE hold_reason = 'provider_down'"
    )


def waiting(world: World, asset_id: UUID) -> timedelta:
    """How much longer it may wait than it is held."""
    asset = world.asset(asset_id)
    assert asset.deadline_at is not None
    assert asset.next_attempt_at is not None
    return asset.deadline_at - asset.next_attempt_at


def test_a_provider_that_is_down_is_tried_by_one_at_a_time(world: World, down: Services) -> None:
    asset_ids = [world.create() for _ in range(8)]
    asked = len(world.provider.puts)
    assert [submit(down, asset_id).result for asset_id in asset_ids] == ["held"] * 8
    assert len(world.provider.puts) == asked

    let_the_time_pass(world)
    world.provider.script.append("503")
    told = Counter(at_once(*[lambda id_=id_: submit(down, id_).result for id_ in asset_ids]))

    assert told == {"held": 7, "retrying": 1}
    assert len(world.provider.puts) == asked + 1


def test_what_waits_for_a_provider_spends_nothing_and_says_why_once(
    world: World, down: Services
) -> None:
    asset_id = world.create()
    before, deadline_sec = world.asset(asset_id), down.settings.retry.wait_deadline_sec
    for _ in range(3):
        assert submit(down, asset_id).result == "held"
        world.make_past(asset_id, "next_attempt_at")
    assert submit(down, asset_id).result == "held"

    asset = world.asset(asset_id)
    assert (asset.status, asset.hold_reason) == (Status.QUEUED, "provider_down")
    assert (asset.attempt, asset.failures, asset.claims) == (0, 0, 0)
    assert asset.lease_token == before.lease_token
    assert world.types(asset_id) == ["created", "held"]
    assert "does not answer" in world.chronicle(asset_id)[-1].detail["message"]
    assert waiting(world, asset_id) >= timedelta(seconds=deadline_sec - 5)


def test_when_the_provider_is_back_all_that_waited_is_taken_up(
    world: World, down: Services
) -> None:
    asset_ids = [world.create() for _ in range(3)]
    for asset_id in asset_ids:
        submit(down, asset_id)
    assert {wake.id for wake in sweep(down).wakes}.isdisjoint(asset_ids)
    left = waiting(world, asset_ids[1])

    world.execute("UPDATE provider_breakers SET probe_at = now()")
    world.make_past(asset_ids[0], "next_attempt_at")
    assert submit(down, asset_ids[0]).result == "submitted"
    closed = breaker(world)
    assert (closed.failures, closed.opened_at, closed.is_probing) == (0, None, False)

    woken = {wake.id for wake in sweep(down).wakes}
    assert set(asset_ids[1:]) <= woken
    assert abs(waiting(world, asset_ids[1]) - left) < timedelta(seconds=1)
    assert {submit(down, asset_id).result for asset_id in asset_ids[1:]} == {"submitted"}


def test_each_try_that_fails_doubles_the_wait_up_to_the_cap(world: World, down: Services) -> None:
    waits = [round(sec_to_probe(world), -1)]
    for action in ("drop", "500", "503"):
        world.provider.script.append(action)
        let_the_time_pass(world)
        submit(down, world.create())
        waits.append(round(sec_to_probe(world), -1))
    assert waits == [OPEN_SEC, 2 * OPEN_SEC, CAP_SEC, CAP_SEC]


@pytest.mark.parametrize("answer", ["400", "accept"])
def test_any_answer_in_between_closes_it(world: World, down: Services, answer: str) -> None:
    let_the_time_pass(world)
    world.provider.script.append(answer)
    submit(down, world.create())
    for _ in range(FAILURES - 1):
        world.provider.script.append("503")
        submit(down, world.create())
    assert breaker(world).opened_at is None
    assert breaker(world).failures == FAILURES - 1


def test_those_let_through_before_it_opened_do_not_keep_it_open_longer(
    world: World, down: Services
) -> None:
    probe_at: datetime | None = breaker(world).probe_at
    with session_of(down.engine) as session:
        circuit_breaker.record_failure(session, "selfhosted", down.settings.breaker_limits)
    assert breaker(world).probe_at == probe_at


def test_a_try_whose_worker_is_lost_lets_the_next_through_later(
    world: World, down: Services
) -> None:
    let_the_time_pass(world)
    with dying_at(Boundary.SUBMIT_INTENDED):
        submit(down, world.create())
    assert breaker(world).is_probing
    assert submit(down, world.create()).result == "held"

    let_the_time_pass(world)
    assert submit(down, world.create()).result == "submitted"
    assert breaker(world).opened_at is None


def test_a_try_that_never_came_to_the_provider_lets_the_next_through_at_once(
    world: World, down: Services
) -> None:
    let_the_time_pass(world)
    assert submit(down, world.create("nothing.mp4")).result != "held"
    assert breaker(world).opened_at is not None
    assert submit(down, world.create()).result == "submitted"


def test_jobs_that_the_provider_has_are_looked_up_all_the_same(
    world: World, down: Services
) -> None:
    let_the_time_pass(world)
    asset_id = world.create()
    world.provider.script.append("drop")
    assert submit(down, asset_id).result == "unanswered"
    assert breaker(world).opened_at is not None

    world.make_past(asset_id, "lease_expires_at")
    assert submit(down, asset_id).result == "submitted"
    assert len(world.provider.jobs) == 1
