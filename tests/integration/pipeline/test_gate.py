from dataclasses import replace
from uuid import UUID

import pytest

from pipeline.content.gate import GateUnavailable, GateVerdict, check_outputs
from pipeline.domain.decide import GateResult
from pipeline.domain.processing_step import Step, step_of
from pipeline.domain.states import Status
from pipeline.domain.values import Outputs
from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.submit import submit
from pipeline.net.fetch import GuardedFetcher
from pipeline.records.models import Output
from pipeline.runtime.database import session_of
from tests.integration.pipeline.conftest import World
from tests.integration.pipeline.steps import report
from tests.scripted_provider import callback

# poster.jpg has 1280x720 pixels, as a sheet of four tiles would.
STORYBOARD = """WEBVTT

00:00.000 --> 00:02.000
poster.jpg#xywh=0,0,640,360

00:02.000 --> 00:05.280
poster.jpg#xywh=640,360,640,360
"""


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
        storyboard_url=base + urls["storyboard_url"] if "storyboard_url" in urls else None,
    )


def judge(world: World, reported: Outputs) -> GateVerdict:
    """What the gate says of outputs that may lie on this provider's host only."""
    policy = replace(world.services.settings.sources.fetch_policy, hosts=frozenset({"127.0.0.1"}))
    with GuardedFetcher(policy) as fetcher:
        services = replace(world.services, fetcher=fetcher)
        return check_outputs(services, reported, expected_sec=5.28)


def complete(world: World, **result: str) -> UUID:
    """An asset whose provider has reported these outputs, reconciled."""
    asset_id = world.create()
    submit(world.services, asset_id)
    report(world, world.provider.finish(world.attempt_id(asset_id), **result))
    return asset_id


def test_outputs_that_play_pass(world: World) -> None:
    report = judge(world, outputs(world))

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
    ],
)
def test_outputs_that_do_not_play_are_rejected_by_rule(
    world: World, changes: dict[str, str], rule: str
) -> None:
    master = (world.provider.folder / "master.m3u8").read_text()
    (world.provider.folder / "gone.m3u8").write_text(master.replace("index.m3u8", "other.m3u8"))

    report = judge(world, outputs(world, **changes))

    assert report.result is GateResult.REJECTED
    assert report.rule is not None
    assert rule in report.rule


@pytest.mark.parametrize(
    ("address", "result"),
    [
        ("https://elsewhere.example/index.m3u8", GateResult.MISPLACED),
        ("http://127.0.0.9/index.m3u8", GateResult.MISPLACED),
        ("..\\\\index.m3u8", GateResult.MISPLACED),
        ("../out/index.m3u8", GateResult.PASSED),
        ("{base}/out/index.m3u8", GateResult.PASSED),
    ],
)
def test_a_vendors_playlist_may_name_any_of_its_hosts_and_no_other(
    world: World, address: str, result: GateResult
) -> None:
    master = (world.provider.folder / "master.m3u8").read_text()
    named = address.format(base=world.provider.url)
    (world.provider.folder / "away.m3u8").write_text(master.replace("index.m3u8", named))

    assert judge(world, outputs(world, manifest_url="away.m3u8")).result is result


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

    assert report.result is GateResult.DISAGREES
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
    assert report(world, job) == "retrying"

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

    assert reconcile(world.services, received.wake.id).result.startswith("waiting")

    assert world.delivery(received.wake.id).status == "new"
    assert world.delivery(received.wake.id).tries == 0
    assert world.asset(asset_id).status is Status.PROCESSING


@pytest.mark.parametrize(
    "storyboard",
    [STORYBOARD, STORYBOARD.replace("poster.jpg", "{base}poster.jpg")],
    ids=["beside", "beside in full"],
)
def test_a_storyboard_that_holds_is_published(world: World, storyboard: str) -> None:
    base = f"{world.provider.url}/out/"
    (world.provider.folder / "whole.vtt").write_text(storyboard.format(base=base))

    asset = world.asset(complete(world, storyboard=f"{base}whole.vtt"))

    assert (asset.status, asset.storyboard_url) == (Status.COMPLETED, f"{base}whole.vtt")
    assert "storyboard_left_out" not in world.chronicle(asset.id)[-1].detail
    with session_of(world.services.engine) as session:
        published = session.get_one(Output, asset.published_output_id)
    assert published.storyboard_url == asset.storyboard_url


def test_a_provider_without_a_storyboard_publishes_none(world: World) -> None:
    asset = world.asset(complete(world))

    assert (asset.status, asset.storyboard_url) == (Status.COMPLETED, None)
    assert "storyboard_left_out" not in world.chronicle(asset.id)[-1].detail


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("WEBVTT", "#EXTM3U", "It does not begin with WEBVTT."),
        ("00:05.280", "00:07.000", "it ends at 7.00 s, the source at 5.28 s"),
        ("=640,360", "=641,360", "a cue lies outside of its sheet"),
        ("=640,360", "=640,361", "a cue lies outside of its sheet"),
        ("poster.jpg#xywh=0", "slow.mp4#xywh=0", "it has more than one sheet"),
        ("poster.jpg", "missing.jpg", "unreadable: source_unreachable"),
        ("poster.jpg", "master.m3u8", "The picture cannot be decoded."),
        ("poster.jpg", "http://127.0.0.9/poster.jpg", "its sheet lies elsewhere"),
    ],
)
def test_a_broken_storyboard_is_left_out_of_a_video_that_plays(
    world: World, old: str, new: str, fault: str
) -> None:
    (world.provider.folder / "broken.vtt").write_text(STORYBOARD.replace(old, new))

    report = judge(world, outputs(world, storyboard_url="broken.vtt"))

    assert (report.result, report.storyboard_fault) == (GateResult.PASSED, fault)


def test_what_is_left_out_is_no_address_and_the_chronicle_says_why(world: World) -> None:
    asset = world.asset(complete(world, storyboard=f"{world.provider.url}/out/missing.vtt"))

    assert (asset.status, asset.storyboard_url) == (Status.COMPLETED, None)
    assert asset.published_output_id is not None
    completed = world.chronicle(asset.id)[-1]
    assert completed.type == "completed"
    assert completed.detail["storyboard_left_out"] == "unreadable: source_unreachable"


def test_a_storyboard_is_not_waited_for(world: World) -> None:
    unreachable = replace(outputs(world), storyboard_url="http://127.0.0.1:9/storyboard.vtt")

    report = check_outputs(world.services, unreachable, expected_sec=5.28)

    assert (report.result, report.storyboard_fault) == (
        GateResult.PASSED,
        "unreadable: source_unreachable",
    )
