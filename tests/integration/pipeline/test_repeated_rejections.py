"""Outputs that disagree with the source, or are rejected for the same reason again."""

from typing import Any
from uuid import UUID

import pytest

from pipeline.domain.states import Status
from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.submit import submit
from tests.integration.pipeline.conftest import World
from tests.scripted_provider import callback


def declared(world: World, asset_id: UUID, container: str, duration_sec: float) -> None:
    """Pretend that the source's container declares this length."""
    world.execute(
        "UPDATE video_assets SET source_info = source_info || jsonb_build_object("
        "'container', CAST(:container AS text), 'duration_sec', CAST(:sec AS float8)) "
        "WHERE id = :id",
        container=container,
        sec=duration_sec,
        id=asset_id,
    )


def finished(world: World, asset_id: UUID, **result: Any) -> str:
    job = world.provider.finish(world.attempt_id(asset_id), **result)
    received = world.receive(callback(job))
    assert received.wake is not None
    return reconcile(world.services, received.wake.id).result


def submitted(world: World, container: str = "mp4", duration_sec: float = 5.28) -> UUID:
    asset_id = world.create()
    submit(world.services, asset_id)
    declared(world, asset_id, container, duration_sec)
    return asset_id


def test_outputs_of_another_length_than_the_source_are_not_encoded_again(world: World) -> None:
    asset_id = submitted(world, duration_sec=60)

    finished(world, asset_id)

    asset = world.asset(asset_id)
    assert (asset.status, asset.error_code) == (Status.FAILED, "output_disagrees")
    assert asset.attempt == 1


@pytest.mark.parametrize(
    ("container", "result"),
    [("mpegts", {}), ("mp4", {"source": {"duration_sec": 5.28}})],
    ids=["an estimate of ours", "a measurement of the provider"],
)
def test_a_declared_length_gives_way_and_is_said(
    world: World, container: str, result: dict[str, Any]
) -> None:
    asset_id = submitted(world, container, duration_sec=4908)

    finished(world, asset_id, **result)

    asset = world.asset(asset_id)
    assert asset.status is Status.COMPLETED
    assert asset.duration_sec == pytest.approx(5.28)
    assert [row["code"] for row in asset.warnings] == ["length_differs"]


def test_outputs_shorter_than_the_provider_measured_the_source_are_refused(world: World) -> None:
    asset_id = submitted(world, duration_sec=5.28)

    finished(world, asset_id, source={"duration_sec": 60.0})

    assert world.asset(asset_id).error_code == "output_disagrees"


def test_the_same_rejection_is_not_bought_a_third_time(world: World) -> None:
    asset_id = submitted(world)
    black = {"poster": f"{world.provider.url}/out/black.jpg"}

    finished(world, asset_id, **black)
    assert world.asset(asset_id).status is Status.RETRYING
    world.make_past(asset_id, "next_attempt_at")
    submit(world.services, asset_id)
    finished(world, asset_id, **black)

    asset = world.asset(asset_id)
    assert (asset.status, asset.error_code) == (Status.FAILED, "output_repeated")
    assert asset.attempt == 2
