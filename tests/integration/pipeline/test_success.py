from pipeline.domain.states import Status
from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.submit import submit
from tests.integration.pipeline.conftest import World
from tests.scripted_provider import callback


def test_a_source_is_submitted_reported_checked_and_published(world: World) -> None:
    asset_id = world.create()

    assert submit(world.services, asset_id).result == "submitted"
    attempt_id = world.attempt_id(asset_id)
    received = world.receive(callback(world.provider.finish(attempt_id)))
    assert received.kind == "stored"
    assert received.wake is not None
    assert reconcile(world.services, received.wake.id).result == "completed"

    asset = world.asset(asset_id)
    assert asset.status is Status.COMPLETED
    assert asset.manifest_url == f"{world.provider.url}/out/master.m3u8"
    assert asset.lease_expires_at is None
    assert world.types(asset_id) == [
        "created",
        "claimed",
        "source_verified",
        "submitted",
        "completed",
    ]
    assert world.delivery(received.wake.id).status == "applied"


def test_running_every_task_twice_changes_nothing_more(world: World) -> None:
    asset_id = world.create()

    submit(world.services, asset_id)
    assert submit(world.services, asset_id).result == "nothing_to_submit"
    received = world.receive(callback(world.provider.finish(world.attempt_id(asset_id))))
    assert received.wake is not None
    reconcile(world.services, received.wake.id)
    before = world.types(asset_id)
    assert reconcile(world.services, received.wake.id).result == "not_due"

    assert world.types(asset_id) == before
    assert len(world.provider.puts) == 1
