"""The calls that a vendor needs after the submission: the MP4 of one, the poster of another."""

import pytest

from pipeline.domain.states import Status
from pipeline.domain.values import FOLLOWED_UP, Phase
from tests.crashing.boundary import Boundary
from tests.crashing.interruptions import KILLED
from tests.integration.pipeline.crashing import exit_code_of
from tests.integration.pipeline.vendors.at_vendor import AtVendor

CALLS = {"api_video": "poster", "cloudflare_stream": "ask_mp4"}
"""The endpoint of the follow-up call, by adapter."""
TELLS_WHETHER_IT_WAS_MADE = "cloudflare_stream"

pytestmark = pytest.mark.parametrize("adapter", sorted(CALLS), indirect=True)


def test_a_follow_up_call_is_made_once(at_vendor: AtVendor) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    asset_id = at_vendor.submitted(poster_time_sec=1.0)

    at_vendor.tell(asset_id, Phase.COMPLETED)
    at_vendor.come_to_rest()

    assert world.asset(asset_id).status is Status.COMPLETED
    assert at_vendor.asked(CALLS[fake.adapter]) == 1
    assert world.types(asset_id).count("followed_up") == 1
    [attempt] = at_vendor.attempts(asset_id)
    assert len(attempt.vendor[FOLLOWED_UP]) == 1


def test_a_worker_that_dies_after_a_follow_up_call_leaves_nothing_undone(
    at_vendor: AtVendor,
) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    asset_id = at_vendor.submitted(poster_time_sec=1.0)
    at_vendor.move(asset_id, Phase.COMPLETED)
    world.make_past(asset_id, "next_poll_at")

    assert exit_code_of(Boundary.FOLLOW_UP_CALLED, "poll", asset_id) == KILLED

    call = CALLS[fake.adapter]
    assert at_vendor.asked(call) == 1
    assert "followed_up" not in world.types(asset_id)
    at_vendor.come_to_rest()
    assert world.asset(asset_id).status is Status.COMPLETED
    # The other vendor does not say which poster it has, so the call, which may be repeated, is.
    assert at_vendor.asked(call) == (1 if fake.adapter == TELLS_WHETHER_IT_WAS_MADE else 2)
    assert world.types(asset_id).count("followed_up") <= 1


@pytest.mark.parametrize("trouble", ["429 7", "drop"])
def test_a_follow_up_call_that_fails_is_made_by_the_next_poll(
    at_vendor: AtVendor, trouble: str
) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    fake.script[CALLS[fake.adapter]] = [trouble]
    asset_id = at_vendor.submitted(poster_time_sec=1.0)

    at_vendor.tell(asset_id, Phase.COMPLETED)
    at_vendor.come_to_rest()

    asset = world.asset(asset_id)
    assert (asset.status, asset.failures) == (Status.COMPLETED, 0)
    assert len(fake.jobs) == 1
