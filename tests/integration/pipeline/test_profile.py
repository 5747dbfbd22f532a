"""The cap of the renditions, on its way to whoever makes them."""

import pytest

from pipeline.domain.values import Profile
from pipeline.lifecycle.submit import submit
from tests.integration.pipeline.conftest import World, with_changed
from tests.integration.pipeline.steps import report


@pytest.mark.parametrize("cap", [None, Profile.P240])
def test_a_provider_is_told_the_cap_and_less_than_the_source_completes(
    world: World, cap: Profile | None
) -> None:
    services = with_changed(world.services, "providers", max_profile=cap)
    asset_id = world.create()

    submit(services, asset_id)

    attempt_id = world.attempt_id(asset_id)
    assert world.provider.jobs[attempt_id]["spec"]["max_profile"] == cap
    assert world.asset(asset_id).height == 720
    assert report(world, world.provider.finish(attempt_id, width=320, height=180)) == "completed"
