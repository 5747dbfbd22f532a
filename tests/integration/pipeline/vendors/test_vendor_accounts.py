"""Two accounts at each vendor: one is refused, busy or gone, and the other takes over."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

import pytest

from pipeline.domain.states import Status
from pipeline.domain.values import Phase, Playback
from pipeline.lifecycle.poll import poll
from pipeline.lifecycle.release import release
from pipeline.lifecycle.sweep import sweep
from pipeline.records import account_states
from pipeline.runtime.database import session_of
from pipeline.services import Services
from tests.integration.pipeline.vendors.at_vendor import AtVendor
from tests.vendors.accounts import ACCOUNT, SPARE

pytestmark = pytest.mark.usefixtures("other")


def passed_over(at_vendor: AtVendor, asset_id: UUID) -> Mapping[str, str]:
    """The accounts that the last claim passed over, as the chronicle has them."""
    events = [each for each in at_vendor.world.chronicle(asset_id) if each.type == "claimed"]
    found: Mapping[str, str] = events[-1].detail.get("passed_over", {})
    return found


def let_the_deadline_pass(at_vendor: AtVendor) -> None:
    at_vendor.world.execute("UPDATE video_assets SET deadline_at = now() - interval '1 s'")
    sweep(at_vendor.services)


def without_first(at_vendor: AtVendor) -> Services:
    """A worker whose settings no longer name the first account."""
    alone = {SPARE: at_vendor.services.providers[SPARE]}
    return replace(at_vendor.services, providers=alone)


def test_a_refused_account_hands_the_asset_to_the_other(
    at_vendor: AtVendor, spare: AtVendor
) -> None:
    world = at_vendor.world
    at_vendor.fake.script["submit"] = ["401"]
    asset_id = at_vendor.create()

    assert at_vendor.submit(asset_id) == "retrying"
    assert at_vendor.submit(asset_id) == "submitted"
    spare.tell(asset_id, Phase.COMPLETED)
    at_vendor.come_to_rest()

    asset = world.asset(asset_id)
    assert (asset.status, asset.provider, asset.failures) == (Status.COMPLETED, SPARE, 0)
    assert passed_over(at_vendor, asset_id) == {ACCOUNT: "account_problem"}
    assert [each.provider for each in at_vendor.attempts(asset_id)] == [ACCOUNT, SPARE]
    assert (len(at_vendor.fake.jobs), len(spare.fake.jobs)) == (0, 1)


def test_an_account_that_is_refused_in_mid_flight_gets_no_more_and_loses_its_job_in_time(
    at_vendor: AtVendor, spare: AtVendor
) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    asset_id = at_vendor.submitted()
    fake.script["get"] = fake.script["delete"] = ["401"] * 20

    assert at_vendor.poll(asset_id).startswith("waiting")

    assert world.asset(asset_id).status is Status.PROCESSING
    newer = at_vendor.submitted()
    assert world.asset(newer).provider == SPARE
    assert passed_over(at_vendor, newer) == {ACCOUNT: "account_problem"}

    let_the_deadline_pass(at_vendor)
    assert at_vendor.submit(asset_id) == "submitted"
    spare.tell(asset_id, Phase.COMPLETED)
    fake.script.clear()
    at_vendor.come_to_rest(spare.fake)

    asset = world.asset(asset_id)
    assert (asset.status, asset.provider, asset.attempt) == (Status.COMPLETED, SPARE, 2)
    assert fake.billed == [], "the job of the first account is released as soon as it is accepted"


def test_a_success_of_the_first_account_counts_while_the_other_works(
    at_vendor: AtVendor, spare: AtVendor
) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    asset_id = at_vendor.submitted()
    first = at_vendor.job(asset_id)
    let_the_deadline_pass(at_vendor)
    with session_of(at_vendor.services.engine) as session:
        account_states.set_state(session, ACCOUNT, "drain")
    assert at_vendor.submit(asset_id) == "submitted"
    assert len(spare.fake.billed) == 1

    fake.move(first.job_id, Phase.COMPLETED)
    at_vendor.store(fake, first.job_id)
    for callback in fake.callbacks_for(first.job_id, Phase.COMPLETED):
        at_vendor.deliver(callback)

    types = world.types(asset_id)
    if fake.adapter == "cloudflare_stream":
        assert "late_success" not in types, "its MP4 is still to be asked for"
        return
    assert types.count("late_success") == 1
    at_vendor.come_to_rest()
    assert world.asset(asset_id).status is Status.COMPLETED
    assert spare.fake.billed == [] or not spare.fake.lists
    assert first.billed


@pytest.mark.parametrize("call", ["submit", "get"])
def test_a_vendor_that_is_busy_pauses_its_account_for_as_long_as_it_says(
    at_vendor: AtVendor, spare: AtVendor, call: str
) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    asset_id = at_vendor.create() if call == "submit" else at_vendor.submitted()
    fake.script[call] = ["429 3600"]

    if call == "submit":
        assert at_vendor.submit(asset_id) == "retrying"
    else:
        assert at_vendor.poll(asset_id).startswith("waiting")
    calls = len(fake.asked)
    newer = at_vendor.submitted()
    if call == "get":
        assert at_vendor.poll(asset_id).startswith("waiting")

    assert passed_over(at_vendor, newer) == {ACCOUNT: "paused"}
    assert world.asset(newer).provider == SPARE
    assert len(fake.asked) == calls, "nothing is asked during the pause"
    assert world.asset(asset_id).failures == 0


def test_an_account_that_settings_no_longer_name_keeps_what_it_is_owed(
    at_vendor: AtVendor, spare: AtVendor
) -> None:
    world = at_vendor.world
    waiting, dropped, told = (at_vendor.submitted() for _ in range(3))
    cancelled = world.attempt_id(dropped)
    at_vendor.cancel(dropped)
    job_id = at_vendor.move(told, Phase.COMPLETED)
    services = without_first(at_vendor)
    at_vendor.world.make_past(waiting, "next_poll_at")

    missing = f"waiting: account {ACCOUNT} is not configured"
    assert poll(services, waiting).result == missing
    assert release(services, cancelled).result == missing
    [first, *_] = at_vendor.fake.callbacks_for(job_id, Phase.COMPLETED)
    assert at_vendor.deliver(first, services).applied == missing

    at_vendor.come_to_rest(at_vendor.fake)
    for asset_id in (waiting, told):
        assert world.asset(asset_id).status is Status.COMPLETED
    assert {each.released_at is not None for each in at_vendor.attempts(dropped)} == {True}
    assert spare.fake.jobs == {}


@pytest.mark.parametrize("adapter", ["api_video"], indirect=True)
def test_a_signed_video_is_never_given_to_a_vendor_that_cannot_restrict_playback(
    at_vendor: AtVendor, spare: AtVendor
) -> None:
    asset_id = at_vendor.create(Playback.SIGNED)

    assert at_vendor.submit(asset_id) == "held"

    world = at_vendor.world
    held = world.asset(asset_id)
    assert (held.status, held.hold_reason, held.failures) == (Status.QUEUED, "no_account", 0)
    [event] = [each for each in world.chronicle(asset_id) if each.type == "held"]
    lacking = "cannot_restrict_playback"
    assert event.detail["passed_over"] == {ACCOUNT: lacking, SPARE: lacking}
    assert at_vendor.fake.asked == spare.fake.asked == []
