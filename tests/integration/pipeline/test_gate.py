from dataclasses import replace

import pytest

from pipeline.gate import GateUnavailable, check_outputs
from pipeline.reducer import GateResult
from pipeline.states import Status
from pipeline.steps import Step, step_of
from pipeline.usecases.reconcile import reconcile
from pipeline.usecases.submit import submit
from pipeline.values import Outputs
from tests.integration.pipeline.conftest import World
from tests.scripted_provider import callback


def outputs(world: World, **changes: str) -> Outputs:
    base = f"{world.provider.url}/out/"
    urls = {
        "manifest_url": "master.m3u8",
        "fallback_url": "video.mp4",
        "poster_url": "poster.jpg",
        "thumbnail_url": "poster.jpg",
    } | changes
    return Outputs(
        manifest_url=base + urls["manifest_url"],
        fallback_url=base + urls["fallback_url"],
        poster_url=base + urls["poster_url"],
        thumbnail_url=base + urls["thumbnail_url"],
        duration_sec=5.28,
        width=320,
        height=180,
    )


def test_outputs_that_play_pass(world: World) -> None:
    report = check_outputs(world.services, outputs(world), expected_sec=5.28)

    assert report.result is GateResult.PASSED


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"poster_url": "black.jpg"}, "the poster is black"),
        ({"poster_url": "missing.jpg"}, "unreadable output"),
        ({"poster_url": "master.m3u8"}, "picture"),
        ({"thumbnail_url": "missing.jpg"}, "unreadable output"),
        ({"fallback_url": "slow.mp4"}, "start fast"),
        ({"fallback_url": "missing.mp4"}, "unreadable output"),
        ({"manifest_url": "missing.m3u8"}, "unreadable output"),
        ({"manifest_url": "poster.jpg"}, "#EXTM3U"),
        ({"manifest_url": "gone.m3u8"}, "unreadable output"),
        ({"manifest_url": "away.m3u8"}, "leads away"),
    ],
)
def test_outputs_that_do_not_play_are_rejected_by_rule(
    world: World, changes: dict[str, str], rule: str
) -> None:
    master = (world.provider.folder / "master.m3u8").read_text()
    (world.provider.folder / "gone.m3u8").write_text(master.replace("index.m3u8", "other.m3u8"))
    (world.provider.folder / "away.m3u8").write_text(
        master.replace("index.m3u8", "https://elsewhere.example/index.m3u8")
    )

    report = check_outputs(world.services, outputs(world, **changes), expected_sec=5.28)

    assert report.result is GateResult.REJECTED
    assert report.rule is not None
    assert rule in report.rule


def test_while_the_gate_looks_all_is_encoded(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    job = world.provider.finish(
        world.attempt_id(asset_id), manifest="http://127.0.0.1:9/master.m3u8"
    )
    received = world.receive(callback(job))
    assert received.wake is not None
    due_before = world.asset(asset_id).next_poll_at

    reconcile(world.services, received.wake.id)

    asset = world.asset(asset_id)
    assert step_of(asset.status, submitted=True, progress=asset.progress) is Step.CHECKING
    assert asset.next_poll_at == due_before


def test_a_rendition_shorter_than_its_source_is_rejected(world: World) -> None:
    report = check_outputs(world.services, outputs(world), expected_sec=32 * 60)

    assert report.result is GateResult.REJECTED
    assert report.rule == "a variant lasts 5.28 s, the source 1920.00 s"


def test_an_output_that_cannot_be_reached_now_is_no_verdict(world: World) -> None:
    unreachable = replace(outputs(world), manifest_url="http://127.0.0.1:9/master.m3u8")

    with pytest.raises(GateUnavailable):
        check_outputs(world.services, unreachable, expected_sec=5.28)


def test_rejected_outputs_are_retried_and_never_published(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    job = world.provider.finish(
        world.attempt_id(asset_id), poster=f"{world.provider.url}/out/black.jpg"
    )
    received = world.receive(callback(job))
    assert received.wake is not None

    assert reconcile(world.services, received.wake.id).what == "retrying"

    asset = world.asset(asset_id)
    assert asset.status is Status.RETRYING
    assert asset.published_output_id is None
    assert asset.error_code == "output_rejected"
    assert world.chronicle(asset_id)[-1].detail["message"] == "the poster is black"


def test_a_gate_that_cannot_look_keeps_the_callback_for_later(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    job = world.provider.finish(
        world.attempt_id(asset_id), manifest="http://127.0.0.1:9/master.m3u8"
    )
    received = world.receive(callback(job))
    assert received.wake is not None

    assert reconcile(world.services, received.wake.id).what.startswith("waiting")

    assert world.delivery(received.wake.id).status == "new"
    assert world.delivery(received.wake.id).tries == 0
    assert world.asset(asset_id).status is Status.PROCESSING
