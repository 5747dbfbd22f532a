"""The owner's quota of a video whose account turns out to be unable to process it."""

import pytest

from pipeline.domain.states import Status
from pipeline.domain.values import Profile
from pipeline.lifecycle.submit import submit
from tests.integration.pipeline.conftest import with_changed
from tests.integration.pipeline.test_quotas import CLIP_BYTES, CLIP_SEC, usage
from tests.integration.pipeline.vendors.at_vendor import AtVendor

UNCAPPED = ["api_video", "cloudflare_stream"]
"""Adapters whose vendors make every rendition: under a cap they take small sources alone."""


@pytest.mark.parametrize("adapter", UNCAPPED, indirect=True)
def test_a_video_that_is_routed_again_is_charged_with_its_measurements_once(
    at_vendor: AtVendor,
) -> None:
    world = at_vendor.world
    capped = with_changed(world.services, "providers", max_profile=Profile.P240)
    asset_id = world.create(size_bytes=1, duration_sec=1.0)

    assert submit(capped, asset_id).result == "retrying"

    assert usage(world) == (1, CLIP_BYTES, CLIP_SEC)
    assert "metadata_mismatch" in world.types(asset_id)
    assert at_vendor.submit(asset_id) == "submitted"
    assert usage(world) == (1, CLIP_BYTES, CLIP_SEC)


@pytest.mark.parametrize("adapter", UNCAPPED, indirect=True)
@pytest.mark.parametrize("limits", [{"daily_media_sec": 5.0}, {"daily_bytes": CLIP_BYTES - 1}])
def test_a_video_beyond_the_day_passes_no_limit_by_being_routed_again(
    at_vendor: AtVendor, limits: dict[str, float]
) -> None:
    world = at_vendor.world
    asset_id = world.create(size_bytes=1, duration_sec=1.0)
    capped = with_changed(world.services, "providers", max_profile=Profile.P240)

    assert submit(with_changed(capped, "owner_limits", **limits), asset_id).result == "failed"

    asset = world.asset(asset_id)
    assert (asset.status, asset.error_code) == (Status.FAILED, "quota_exceeded")
    assert asset.source_info is None
    assert usage(world) == (1, 1, 1.0)
    assert at_vendor.fake.asked == []
