"""Every job a provider accepted is current, published, or given up: also the one nobody saw."""

from uuid import UUID

import pytest

from pipeline.config.task_names import wake_release
from pipeline.domain.states import Status
from pipeline.lifecycle.poll import poll
from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.release import release
from pipeline.lifecycle.submit import submit
from pipeline.lifecycle.sweep import expire
from pipeline.operations.purge import purge
from pipeline.records.models import Attempt
from pipeline.runtime.database import session_of
from tests.crashing.boundary import Boundary
from tests.crashing.interruptions import meanwhile
from tests.integration.pipeline.conftest import World
from tests.integration.pipeline.steps import cancel, complete, reencode, report
from tests.scripted_provider import callback
from tests.stateful.rest import assert_laws, assert_laws_at_rest


def attempt(world: World, attempt_id: UUID) -> Attempt:
    with session_of(world.services.engine) as session:
        return session.get_one(Attempt, attempt_id)


def let_calls_end(world: World) -> None:
    world.execute("UPDATE provider_attempts SET intended_at = now() - interval '1 min'")


def test_a_release_that_overtakes_the_submission_does_not_count(world: World) -> None:
    asset_id = world.create()

    def overtake() -> None:
        cancel(world, asset_id)
        assert release(world.services, world.attempt_id(asset_id)).result.startswith("waiting")

    with meanwhile(Boundary.SUBMIT_INTENDED, overtake):
        assert submit(world.services, asset_id).result == "moved_on"

    attempt_id = world.attempt_id(asset_id)
    assert release(world.services, attempt_id).result == "released"
    assert world.provider.cancelled == [attempt_id]


def test_a_job_that_appears_after_its_release_was_paid_is_owed_another(world: World) -> None:
    asset_id = world.create()

    def outlast() -> None:
        cancel(world, asset_id)
        let_calls_end(world)
        assert release(world.services, world.attempt_id(asset_id)).result == "released"

    with meanwhile(Boundary.SUBMIT_INTENDED, outlast):
        submit(world.services, asset_id)

    assert_laws(world)
    assert release(world.services, world.attempt_id(asset_id)).result == "released"
    assert world.provider.cancelled == [world.attempt_id(asset_id)]


@pytest.mark.parametrize("phase", ["queued", "completed"])
def test_an_orphan_that_calls_back_is_given_up(world: World, phase: str) -> None:
    asset_id = world.create()
    world.provider.script = ["500"]
    submit(world.services, asset_id)
    attempt_id = world.attempt_id(asset_id)
    cancel(world, asset_id)
    let_calls_end(world)
    assert release(world.services, attempt_id).result == "released"
    job = {"id": str(attempt_id), "status": "queued", "progress": 1}
    world.provider.jobs[attempt_id] = job  # long after every bound, the call arrives
    if phase == "completed":
        job = world.provider.finish(attempt_id)

    assert report(world, job, "job.progress") == "ignored: asset_cancelled"

    assert_laws_at_rest(world)
    assert world.provider.cancelled == [attempt_id]


def test_a_refusal_of_the_second_call_says_nothing_of_the_first(world: World) -> None:
    world.provider.script = ["500", "503"]
    asset_id = world.create()
    assert submit(world.services, asset_id).result == "unanswered"
    world.make_past(asset_id, "lease_expires_at")

    refused = submit(world.services, asset_id)

    attempt_id = world.attempt_id(asset_id)
    assert refused.result == "retrying"
    assert refused.wakes == (wake_release(attempt_id),)
    world.provider.jobs[attempt_id] = {"id": str(attempt_id), "status": "queued", "progress": 0}
    assert_laws_at_rest(world)
    assert attempt_id in world.provider.cancelled


def test_a_worker_that_was_overtaken_closes_nothing_with_its_refusal(world: World) -> None:
    asset_id = world.create()

    def overtake() -> None:
        world.make_past(asset_id, "lease_expires_at")
        complete(world, asset_id)
        world.provider.script = ["503"]

    with meanwhile(Boundary.SUBMIT_INTENDED, overtake):
        assert submit(world.services, asset_id).result == "stale"

    assert_laws(world)
    assert attempt(world, world.attempt_id(asset_id)).outcome == "completed"


def test_a_job_that_is_wanted_after_all_is_not_given_up(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    attempt_id = world.attempt_id(asset_id)
    world.make_past(asset_id, "deadline_at")
    assert expire(world.services, asset_id).wakes == (wake_release(attempt_id),)

    assert report(world, world.provider.finish(attempt_id)) == "late_success"

    assert release(world.services, attempt_id).result == "nothing_owed"
    assert_laws_at_rest(world)
    assert world.provider.cancelled == []


def test_a_job_the_provider_denies_once_is_given_up_all_the_same(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    attempt_id = world.attempt_id(asset_id)
    world.make_past(asset_id, "next_poll_at")
    world.provider.gets = ["404"]

    assert poll(world.services, asset_id).wakes == (wake_release(attempt_id),)

    assert_laws_at_rest(world)
    assert attempt_id in world.provider.cancelled


def test_what_is_purged_here_is_given_up_at_its_provider(world: World) -> None:
    asset_id = world.create()
    first = complete(world, asset_id)
    reencode(world, asset_id)
    complete(world, asset_id)
    assert_laws_at_rest(world)  # kept for a day, for who still watches it and for a rollback
    world.execute("UPDATE provider_attempts SET purge_at = now() WHERE purge_at IS NOT NULL")

    purge(world.services)

    assert_laws_at_rest(world)
    assert world.provider.cancelled == [first]


def test_a_worker_that_comes_late_to_a_delivery_changes_nothing(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    received = world.receive(callback(world.provider.finish(world.attempt_id(asset_id))))
    assert received.wake is not None
    delivery_id = received.wake.id

    def overtake() -> None:
        world.execute("UPDATE webhook_deliveries SET next_try_at = now() - interval '1 s'")
        assert reconcile(world.services, delivery_id).result == "completed"

    with meanwhile(Boundary.RECONCILE_TAKEN, overtake):
        assert reconcile(world.services, delivery_id).result == "settled_elsewhere"

    assert world.asset(asset_id).status is Status.COMPLETED
    assert world.types(asset_id)[-1] == "completed"
    assert_laws(world)
