"""The end of a job at each vendor: by its callbacks, by polls, early, late, twice and in pieces."""

from typing import Any

import pytest
from sqlalchemy import select

from pipeline.domain.states import Status
from pipeline.domain.values import Phase
from pipeline.operations.purge import purge
from pipeline.records.models import Asset, Output
from pipeline.runtime.database import session_of
from tests.integration.pipeline.vendors.at_vendor import AtVendor
from tests.vendors.fake import FakeVendor

TELLS_NO_END_OF_THE_MP4 = "cloudflare_stream"
NAMES_OUTPUTS = {"mediaconvert", "selfhosted"}
"""Adapters whose callbacks name the outputs, so that nothing is asked."""
HOSTS = ["api_video", "cloudflare_stream", "mux"]
"""Adapters whose vendors host the outputs: a video plays there before it is complete."""


def facts_of(asset: Asset) -> dict[str, Any]:
    """Everything about an asset that a report may change."""
    names = ("status", "failures", "error_code", "published_output_id", "attempt_id", "generation")
    return {name: getattr(asset, name) for name in names}


def outputs_of(at_vendor: AtVendor) -> list[Output]:
    with session_of(at_vendor.services.engine) as session:
        return list(session.scalars(select(Output).order_by(Output.published_at)))


def break_mp4(fake: FakeVendor, job_id: str) -> None:
    """Let the MP4 of a job that plays end in error."""
    match fake.adapter:
        case "mux":
            fake.end_mp4(job_id, "errored")  # type: ignore[attr-defined]  # of this fake alone
        case "api_video":
            ends = ("encoded", "encoded", "failed")
            fake.end(job_id, *ends, playable=True)  # type: ignore[attr-defined]
        case "cloudflare_stream":
            fake.habits.add("mp4_fails")


def test_callbacks_alone_complete_a_video(at_vendor: AtVendor) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    asset_id = at_vendor.submitted()
    fake.asked.clear()

    told = at_vendor.tell(asset_id, Phase.COMPLETED)

    assert {each.status for each in told} == {202}
    if fake.adapter == TELLS_NO_END_OF_THE_MP4:
        assert world.asset(asset_id).playable_at is not None
        assert at_vendor.poll(asset_id) == "completed"
        assert [call for call, _ in fake.asked] == ["get", "get_mp4", "ask_mp4", "get", "get_mp4"]
        return
    asset, events = world.asset(asset_id), world.chronicle(asset_id)
    [completed] = [event for event in events if event.type == "completed"]
    # The outputs are smaller than the source. Our transcoder would say so; a manifest shows it.
    warned = [event.detail["warnings"] for event in events if event.type == "warned"]
    shown = not at_vendor.able.names_losses
    assert warned == ([asset.warnings] if shown else [])
    assert ("resolution_lowered" in {each["code"] for each in asset.warnings}) is shown
    assert asset.status is Status.COMPLETED
    assert (completed.type, completed.actor) == ("completed", f"provider:{at_vendor.account}")
    assert at_vendor.asked("get") == (0 if fake.adapter in NAMES_OUTPUTS else 1)
    assert at_vendor.asked("list") == 0
    assert set(world.types(asset_id)[completed.seq :]) <= {"callback_ignored"}


@pytest.mark.parametrize("adapter", HOSTS, indirect=True)
def test_a_video_plays_before_it_is_complete(at_vendor: AtVendor) -> None:
    world = at_vendor.world
    asset_id = at_vendor.submitted()

    at_vendor.tell(asset_id, Phase.PLAYABLE)

    plays = world.asset(asset_id)
    assert plays.status is Status.PROCESSING
    assert plays.playable_at is not None
    assert plays.completed_at is None
    assert plays.manifest_url is not None
    assert plays.fallback_url is None

    at_vendor.tell(asset_id, Phase.COMPLETED)
    at_vendor.come_to_rest()

    done = world.asset(asset_id)
    assert (done.status, done.playable_at) == (Status.COMPLETED, plays.playable_at)
    assert done.published_output_id == plays.published_output_id
    assert done.fallback_url is not None
    types = world.types(asset_id)
    assert types.index("playable") < types.index("completed")
    assert not {"callback_missed", "retry_scheduled"} & set(types)


@pytest.mark.parametrize("adapter", HOSTS, indirect=True)
def test_a_re_encode_replaces_the_old_outputs_only_when_it_is_complete(
    at_vendor: AtVendor,
) -> None:
    world = at_vendor.world
    asset_id = at_vendor.submitted()
    at_vendor.tell(asset_id, Phase.COMPLETED)
    at_vendor.come_to_rest()
    old, old_job = world.asset(asset_id), at_vendor.job(asset_id)
    at_vendor.reencode(asset_id)
    assert at_vendor.submit(asset_id) == "submitted"

    at_vendor.tell(asset_id, Phase.PLAYABLE)

    meanwhile = world.asset(asset_id)
    assert meanwhile.status is Status.PROCESSING
    assert meanwhile.published_output_id == old.published_output_id
    assert meanwhile.manifest_url == old.manifest_url
    assert meanwhile.fallback_url == old.fallback_url

    at_vendor.tell(asset_id, Phase.COMPLETED)
    at_vendor.come_to_rest()

    new = world.asset(asset_id)
    assert new.status is Status.COMPLETED
    assert new.published_output_id != old.published_output_id
    assert old_job.billed, "viewers in mid-play, and a rollback, may need it for a day"


def test_without_a_callback_sweeps_complete_a_video(at_vendor: AtVendor) -> None:
    world = at_vendor.world
    asset_id = at_vendor.submitted(poster_time_sec=1.0)
    at_vendor.move(asset_id, Phase.COMPLETED)

    at_vendor.come_to_rest()

    assert world.asset(asset_id).status is Status.COMPLETED
    missed = world.types(asset_id).count("callback_missed")
    assert missed == (0 if at_vendor.able.polls_first else 1)
    assert len(at_vendor.fake.jobs) == 1


def test_a_repeated_callback_is_a_duplicate_whatever_differs_by_try(at_vendor: AtVendor) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    asset_id = at_vendor.submitted()
    job_id = at_vendor.move(asset_id, Phase.COMPLETED)
    sent = fake.callbacks_for(job_id, Phase.COMPLETED)
    for each in sent:
        assert at_vendor.deliver(each).status == 202
    before, events, asked = world.asset(asset_id), world.types(asset_id), len(fake.asked)

    again = [at_vendor.deliver(each) for each in sent]
    redelivered = [at_vendor.deliver(fake.redelivered(each)) for each in sent]

    assert {(each.status, each.result) for each in (*again, *redelivered)} == {(200, "duplicate")}
    assert facts_of(world.asset(asset_id)) == facts_of(before)
    assert world.types(asset_id) == events
    assert len(fake.asked) == asked
    assert at_vendor.audits() == []


def test_callbacks_out_of_order_change_nothing_back(at_vendor: AtVendor) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    asset_id = at_vendor.submitted()
    early = [
        callback
        for phase in (Phase.WAITING, Phase.RUNNING, Phase.PLAYABLE)
        for callback in fake.callbacks_for(at_vendor.move(asset_id, phase), phase)
        if phase in fake.phases
    ]
    at_vendor.move(asset_id, Phase.COMPLETED)
    at_vendor.tell(asset_id, Phase.COMPLETED)
    at_vendor.come_to_rest()
    before = facts_of(world.asset(asset_id))
    assert before["status"] is Status.COMPLETED

    for callback in reversed(early):
        at_vendor.deliver(callback)

    assert facts_of(world.asset(asset_id)) == before
    assert world.types(asset_id).count("completed") == 1


@pytest.mark.parametrize("adapter", HOSTS, indirect=True)
def test_an_mp4_that_fails_after_the_video_plays_costs_an_attempt_and_no_viewer(
    at_vendor: AtVendor,
) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    asset_id = at_vendor.submitted()
    at_vendor.tell(asset_id, Phase.PLAYABLE)
    plays, broken = world.asset(asset_id), at_vendor.job(asset_id)
    break_mp4(fake, broken.job_id)

    assert at_vendor.poll(asset_id) == "retrying"

    failed = world.asset(asset_id)
    assert (failed.failures, failed.published_output_id) == (1, plays.published_output_id)
    world.execute("UPDATE provider_attempts SET purge_at = now() WHERE purge_at IS NOT NULL")
    purge(at_vendor.services)
    at_vendor.pay_releases(asset_id)
    assert broken.billed, "its manifest is published"
    assert [output.removed_at for output in outputs_of(at_vendor)] == [None]

    fake.habits.discard("mp4_fails")
    assert at_vendor.submit(asset_id) == "submitted"
    at_vendor.tell(asset_id, Phase.COMPLETED)
    at_vendor.come_to_rest()

    done = world.asset(asset_id)
    assert done.status is Status.COMPLETED
    assert done.published_output_id != plays.published_output_id
    world.execute("UPDATE provider_attempts SET purge_at = now() WHERE purge_at IS NOT NULL")
    purge(at_vendor.services)
    at_vendor.come_to_rest()
    assert [job.job_id for job in fake.billed] == [at_vendor.job(asset_id).job_id]


@pytest.mark.parametrize("adapter", HOSTS, indirect=True)
def test_a_job_that_failed_is_not_kept_at_a_vendor_that_hosts_it(at_vendor: AtVendor) -> None:
    asset_id = at_vendor.submitted()
    at_vendor.move(asset_id, Phase.FAILED)

    at_vendor.poll(asset_id)
    at_vendor.come_to_rest()

    assert at_vendor.world.asset(asset_id).status is Status.FAILED
    assert at_vendor.fake.billed == []


def test_a_callback_with_a_false_signature_is_refused(at_vendor: AtVendor) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    asset_id = at_vendor.submitted()
    job_id = at_vendor.move(asset_id, Phase.COMPLETED)
    [first, *_] = fake.callbacks_for(job_id, Phase.COMPLETED)
    before, asked = facts_of(world.asset(asset_id)), len(fake.asked)
    refused = [forgery.callback for forgery in fake.forged(first)]
    if fake.signs_time:
        refused.append(fake.stale(first))

    answers = [at_vendor.deliver(each) for each in refused]

    assert {(each.status, each.result) for each in answers} == {(401, "signature_invalid")}
    assert facts_of(world.asset(asset_id)) == before
    assert len(fake.asked) == asked
    assert at_vendor.audits() == ["callback_rejected"] * len(refused)
