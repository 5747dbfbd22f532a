"""Many at once: exactly one wins, and the others are told what is."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from uuid import UUID

import pytest
from sqlalchemy import text

from pipeline.config.task_names import wake_submit
from pipeline.domain.errors import Conflict
from pipeline.domain.states import Status
from pipeline.lifecycle.owner_actions import cancel_asset
from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.release import release
from pipeline.lifecycle.submit import submit
from pipeline.lifecycle.sweep import sweep
from pipeline.records import store
from pipeline.runtime.database import make_engine, session_of, user_session
from tests.crashing.boundary import Boundary
from tests.crashing.interruptions import meanwhile
from tests.integration.pipeline.conftest import OWNER, World
from tests.integration.pipeline.steps import report, retry
from tests.scripted_provider import callback
from tests.stateful.rest import assert_laws, assert_laws_at_rest

T = TypeVar("T")


def at_once(*deeds: Callable[[], T]) -> list[T]:
    """Start them together; what each returned."""
    start = threading.Barrier(len(deeds))

    def run(deed: Callable[[], T]) -> T:
        start.wait()
        return deed()

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(run, deeds))


@pytest.fixture
def crowd(world: World) -> World:
    """A world whose API has a connection for each of many callers."""
    world._api.dispose()
    world._api = make_engine(world.api.api_login.url.get_secret_value(), pool_size=20)
    return world


def fail(world: World) -> UUID:
    """An asset whose first attempt has failed for good."""
    asset_id = world.create()
    submit(world.services, asset_id)
    job = world.provider.fail(world.attempt_id(asset_id), "encode_failed", retryable=False)
    assert report(world, job, "job.failed") == "failed"
    return asset_id


def retried(world: World, asset_id: UUID) -> str:
    """Ask for a retry: ``queued``, or the code and the state of the conflict."""
    try:
        return retry(world, asset_id).asset.status.value
    except Conflict as conflict:
        return f"{conflict.code}: {conflict.extra['status']}"


def test_of_twenty_retries_one_wins_and_the_others_are_told_the_state(crowd: World) -> None:
    asset_id = fail(crowd)

    told = Counter(at_once(*[lambda: retried(crowd, asset_id)] * 20))

    assert told.pop("queued") == 1
    # Whoever comes while the winner commits may still be told the state before.
    assert set(told) <= {"not_failed: queued", "status_changed: queued", "status_changed: failed"}
    assert told.total() == 19
    assert crowd.types(asset_id).count("retried") == 1
    assert_laws_at_rest(crowd)


def test_a_retry_does_not_wait_for_whoever_is_changing_the_asset(world: World) -> None:
    asset_id = fail(world)

    with session_of(world.services.engine) as other:
        assert store.lock(other, asset_id)
        assert retried(world, asset_id) == "status_changed: failed"

    assert retried(world, asset_id) == "queued"


def test_a_retry_and_a_late_success_agree_on_one_order(crowd: World) -> None:
    asset_id = crowd.create()
    submit(crowd.services, asset_id)
    attempt_id = crowd.attempt_id(asset_id)
    as_if_it_had_failed(crowd, asset_id)
    received = crowd.receive(callback(crowd.provider.finish(attempt_id)))
    assert received.wake is not None
    delivery_id = received.wake.id

    told, applied = at_once(
        lambda: retried(crowd, asset_id), lambda: reconcile(crowd.services, delivery_id).result
    )

    assert applied == "late_success"  # it counts before the retry, and after
    assert told in {
        "queued",
        "not_failed: completed",
        "status_changed: completed",
        "status_changed: failed",
    }
    assert crowd.asset(asset_id).status is Status.COMPLETED


def as_if_it_had_failed(world: World, asset_id: UUID) -> None:
    world.execute(
        "UPDATE video_assets SET failures = max_attempts - 1, deadline_at = now() WHERE id = :id",
        id=asset_id,
    )
    sweep(world.services)
    assert world.types(asset_id)[-1] == "retry_exhausted"


def test_a_retry_while_the_late_success_is_at_the_gate_loses_nothing(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    attempt_id = world.attempt_id(asset_id)
    as_if_it_had_failed(world, asset_id)
    received = world.receive(callback(world.provider.finish(attempt_id)))
    assert received.wake is not None

    with meanwhile(Boundary.GATE_PASSED, lambda: retried(world, asset_id)):
        assert reconcile(world.services, received.wake.id).result == "late_success"

    assert world.types(asset_id)[-2:] == ["retried", "late_success"]
    assert_laws_at_rest(world)


def test_a_retry_during_sweeps_is_woken_by_itself_alone(crowd: World) -> None:
    asset_id = fail(crowd)

    told, *wakes = at_once(
        lambda: (retried(crowd, asset_id),), *[lambda: sweep(crowd.services).wakes] * 3
    )

    assert told == ("queued",)
    assert not any(wake_submit(asset_id) in woken for woken in wakes)


def test_sweeps_at_once_wake_each_asset_once(world: World) -> None:
    assets = {world.create() for _ in range(30)}
    world.execute("UPDATE video_assets SET woken_at = NULL")

    woken = at_once(*[lambda: sweep(world.services).wakes] * 4)

    assert Counter(wake.id for wakes in woken for wake in wakes) == Counter(assets)


def test_one_of_the_same_callbacks_at_once_is_stored(crowd: World) -> None:
    asset_id = crowd.create()
    submit(crowd.services, asset_id)
    signed = callback(crowd.provider.finish(crowd.attempt_id(asset_id)))

    received = at_once(*[lambda: crowd.receive(signed)] * 10)

    assert Counter(each.kind for each in received) == {"stored": 1, "duplicate": 9}
    (wake,) = {each.wake for each in received if each.wake}
    results = at_once(*[lambda: reconcile(crowd.services, wake.id).result] * 3)
    assert sorted(results) == ["completed", "not_due", "not_due"]
    assert_laws_at_rest(crowd)


def test_one_of_two_workers_claims_an_asset(world: World) -> None:
    asset_id = world.create()

    results = at_once(*[lambda: submit(world.services, asset_id).result] * 2)

    assert sorted(results) in (["busy_or_gone", "submitted"], ["nothing_to_submit", "submitted"])
    assert world.provider.puts == [world.attempt_id(asset_id)]
    assert_laws(world)


def test_cancelling_and_releasing_at_once_do_not_wait_for_each_other(crowd: World) -> None:
    """Both write the asset and its attempts; in another order each would hold what both need."""
    assets = [crowd.create() for _ in range(4)]
    for asset_id in assets:
        submit(crowd.services, asset_id)
        crowd.make_past(asset_id, "deadline_at")
    sweep(crowd.services)  # each has a job to release, and waits for its next attempt

    def cancel(asset_id: UUID) -> str:
        with user_session(crowd._api, OWNER) as session:
            # A release on a busy machine may hold the row for longer than a request waits. Postgres
            # ends a deadlock, whatever this says.
            session.execute(text("SET LOCAL lock_timeout = '60s'"))
            post_id = crowd.asset(asset_id).post_id
            return cancel_asset(session, post_id, actor=f"owner:{OWNER}").asset.status.value

    attempts = [crowd.attempt_id(asset_id) for asset_id in assets]
    results = at_once(
        *[lambda asset_id=asset_id: cancel(asset_id) for asset_id in assets],
        *[lambda id_=id_: release(crowd.services, id_).result for id_ in attempts],
    )

    assert Counter(results) == {"failed": 4, "released": 4}
    assert_laws_at_rest(crowd)
