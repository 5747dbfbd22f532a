"""The way of a video through Cloudflare Stream, whose awkward habits cost time and no more."""

from collections.abc import Iterator
from dataclasses import replace
from os import environ
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from pipeline.config.groups import load_settings
from pipeline.domain.states import Status
from pipeline.domain.values import Phase, Playback
from pipeline.lifecycle.poll import poll
from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.submit import submit
from pipeline.media.tools import locate_tools
from pipeline.process_settings import WorkerSettings
from pipeline.services import Services, build_services
from tests.integration.pipeline.conftest import CLIP, World
from tests.scripted_provider import SECRET
from tests.vendors.cloudflare_stream import FakeCloudflareStream
from tests.vendors.fake import FakeCallback, serving
from tests.vendors.outputs import make_outputs


@pytest.fixture(scope="session")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_outputs(tmp_path_factory.mktemp("encoded"), CLIP, locate_tools(environ))


@pytest.fixture
def stream(encoded: Path) -> Iterator[FakeCloudflareStream]:
    fake = FakeCloudflareStream(encoded)
    fake.secret = SECRET
    with serving(fake):
        yield fake


@pytest.fixture
def services(
    settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch, stream: FakeCloudflareStream
) -> Iterator[Services]:
    """A worker whose one account is at Cloudflare; it has the name that `World` uses."""
    del settings  # it has set the rest of the environment
    own = stream.environment("selfhosted")
    for name, value in {**own, "KHRONIKA_ACCOUNTS": "selfhosted:cloudflare_stream"}.items():
        monkeypatch.setenv(name, value)
    services = replace(build_services(load_settings(WorkerSettings)), rng=Random(1))
    yield services
    services.close()


def job_of(world: World, stream: FakeCloudflareStream, asset_id: UUID) -> str:
    return stream.job_of(world.attempt_id(asset_id)).job_id


def told(world: World, callback: FakeCallback) -> str:
    """Deliver a callback and apply it: the result."""
    received = world.receive((callback.headers, callback.body))
    if received.wake is None:
        return received.kind
    return reconcile(world.services, received.wake.id).result


def polled(world: World, asset_id: UUID) -> str:
    world.make_past(asset_id, "next_poll_at")
    return poll(world.services, asset_id).result


@pytest.mark.parametrize("playback", Playback)
@pytest.mark.parametrize("habit", ["ts", "fmp4"])
def test_a_video_plays_with_its_callback_and_is_complete_with_its_mp4(
    world: World, stream: FakeCloudflareStream, habit: str, playback: Playback
) -> None:
    stream.habits = {habit, "ready_early"}
    asset_id = world.create(playback=playback)
    assert submit(world.services, asset_id).result == "submitted"
    job_id = job_of(world, stream, asset_id)

    stream.move(job_id, Phase.PLAYABLE)
    [ready] = stream.callbacks_for(job_id, Phase.PLAYABLE)
    told(world, ready)

    plays = world.asset(asset_id)
    assert plays.status is Status.PROCESSING
    assert plays.playable_at is not None
    assert plays.manifest_url == f"{stream.media_url}/{job_id}/manifest/video.m3u8"
    assert plays.fallback_url is None
    assert stream.jobs[job_id].facts["mp4"] == "asked"

    stream.move(job_id, Phase.COMPLETED)
    polled(world, asset_id)

    done = world.asset(asset_id)
    assert done.status is Status.COMPLETED
    assert done.fallback_url == f"{stream.media_url}/{job_id}/downloads/default.mp4"
    assert [call for call, _ in stream.asked].count("ask_mp4") == 1
    assert "callback_missed" not in world.types(asset_id)


def test_a_callback_that_comes_twice_or_again_changes_nothing(
    world: World, stream: FakeCloudflareStream
) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    job_id = job_of(world, stream, asset_id)
    stream.move(job_id, Phase.COMPLETED)
    [ready] = stream.callbacks_for(job_id, Phase.COMPLETED)

    told(world, ready)
    before = world.types(asset_id)
    results = [told(world, each) for each in (ready, stream.redelivered(ready), ready)]

    assert results == ["duplicate"] * 3
    assert world.types(asset_id) == before


def test_a_video_whose_callbacks_never_come_is_completed_by_polls(
    world: World, stream: FakeCloudflareStream
) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    job_id = job_of(world, stream, asset_id)
    stream.move(job_id, Phase.COMPLETED)

    assert polled(world, asset_id) == "followed_up"
    polled(world, asset_id)

    assert world.asset(asset_id).status is Status.COMPLETED


def test_a_submission_whose_answer_is_lost_is_one_video_and_its_callback_finds_it(
    world: World, stream: FakeCloudflareStream
) -> None:
    stream.script["submit"] = ["drop"]
    asset_id = world.create()
    assert submit(world.services, asset_id).result == "unanswered"
    job_id = job_of(world, stream, asset_id)

    stream.move(job_id, Phase.COMPLETED)
    [ready] = stream.callbacks_for(job_id, Phase.COMPLETED)
    told(world, ready)
    polled(world, asset_id)

    assert world.asset(asset_id).status is Status.COMPLETED
    assert world.asset(asset_id).provider_job_id == job_id
    assert len(stream.billed) == 1


@pytest.mark.parametrize("trouble", ["429", "429 7", "401", "503", "lose"])
def test_trouble_in_mid_flight_costs_time_and_no_second_video(
    world: World, stream: FakeCloudflareStream, trouble: str
) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    job_id = job_of(world, stream, asset_id)
    stream.move(job_id, Phase.COMPLETED)
    [ready] = stream.callbacks_for(job_id, Phase.COMPLETED)
    stream.script["get"] = [trouble]

    assert told(world, ready).startswith("waiting")
    assert world.asset(asset_id).status is Status.PROCESSING
    world.execute("UPDATE provider_accounts SET paused_until = NULL")
    for _ in range(2):
        polled(world, asset_id)

    assert world.asset(asset_id).status is Status.COMPLETED
    assert len(stream.billed) == 1


def test_an_error_that_comes_late_does_not_undo_a_success(
    world: World, stream: FakeCloudflareStream
) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    job_id = job_of(world, stream, asset_id)
    stream.end(job_id, "ERR_UNKNOWN")
    [error] = stream.callbacks_for(job_id, Phase.FAILED)
    stream.move(job_id, Phase.COMPLETED)
    for _ in range(2):
        polled(world, asset_id)
    assert world.asset(asset_id).status is Status.COMPLETED

    assert told(world, error).startswith("ignored")

    assert world.asset(asset_id).status is Status.COMPLETED


def test_a_damaged_source_fails_with_its_callback(
    world: World, stream: FakeCloudflareStream
) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    job_id = job_of(world, stream, asset_id)
    stream.end(job_id, "ERR_MALFORMED_VIDEO")
    [error] = stream.callbacks_for(job_id, Phase.FAILED)

    told(world, error)

    asset = world.asset(asset_id)
    assert (asset.status, asset.error_code) == (Status.FAILED, "source_corrupt")
