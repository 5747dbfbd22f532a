"""Differences of outputs from their source: kept with the outputs, and said."""

from typing import Any
from uuid import UUID

from pipeline.domain.states import Status
from pipeline.records.models import Output
from pipeline.runtime.database import session_of
from tests.integration.pipeline.conftest import World
from tests.integration.pipeline.steps import complete, reencode
from tests.integration.pipeline.test_fencing import as_operator

DOWNMIXED = {"code": "sound_downmixed", "message": "6 channels (5.1) to 2"}
KEPT = [{"code": "sound_downmixed", "detail": "6 channels (5.1) to 2"}]


def warned(world: World, asset_id: UUID) -> list[Any]:
    return [each.detail for each in world.chronicle(asset_id) if each.type == "warned"]


def test_a_reported_warning_is_on_the_asset_the_output_and_in_the_chronicle(world: World) -> None:
    asset_id = world.create()

    complete(world, asset_id, warnings=[DOWNMIXED])

    asset = world.asset(asset_id)
    assert (asset.status, asset.warnings) == (Status.COMPLETED, KEPT)
    with session_of(world.services.engine) as session:
        assert session.get_one(Output, asset.published_output_id).warnings == KEPT
    assert warned(world, asset_id) == [{"warnings": KEPT}]
    assert world.types(asset_id)[-2:] == ["warned", "completed"]


def test_nothing_is_said_of_outputs_that_lack_nothing(world: World) -> None:
    asset_id = world.create()

    complete(world, asset_id)

    assert world.asset(asset_id).warnings == []
    assert warned(world, asset_id) == []


def test_a_reencode_brings_its_own_warnings_and_a_rollback_the_earlier_ones(world: World) -> None:
    asset_id = world.create()
    complete(world, asset_id, warnings=[DOWNMIXED])
    reencode(world, asset_id)
    assert world.asset(asset_id).warnings == KEPT
    complete(world, asset_id)
    assert world.asset(asset_id).warnings == []

    as_operator(world, asset_id)

    assert world.asset(asset_id).warnings == KEPT


def test_a_code_that_only_the_provider_knows_is_said_as_a_difference(world: World) -> None:
    asset_id = world.create()

    complete(world, asset_id, warnings=[{"code": "chapters_dropped", "message": "12"}])

    assert world.asset(asset_id).warnings == [
        {"code": "output_differs", "detail": "chapters_dropped: 12"}
    ]
