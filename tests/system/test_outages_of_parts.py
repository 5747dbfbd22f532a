"""Outages of a bucket, an origin, the API and machines that encode, under the real processes."""

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

import pytest
import requests

from pipeline.media.tools import locate_tools
from pipeline.operations.console_failed import FailedFilter, groups
from pipeline.runtime.database import make_engine, session_of
from tests import clips
from tests.acceptance.sources import HOLD, SERVE
from tests.buckets import CREDENTIALS, localbucket_server
from tests.conditions import wait_until
from tests.integration.transcoder.conftest import ffmpegs_under, parent_of
from tests.scripted_ffmpeg import REAL, scripted_ffmpeg
from tests.system.outage_stack import (
    OutageStack,
    OwnServers,
    outage_stack,
    own_servers,
    storages,
)

__all__ = ["own_servers"]

pytestmark = pytest.mark.system

WAIT_IS_OVER = """
    UPDATE video_assets SET held_since = held_since - interval '25 h' WHERE id = %(id)s
"""


@pytest.fixture(scope="module")
def refusing() -> threading.Event:
    """Set while the bucket answers 503."""
    return threading.Event()


@pytest.fixture(scope="module")
def stack(
    own_servers: OwnServers,
    credentials: Mapping[str, str],
    refusing: threading.Event,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[OutageStack]:
    folder = tmp_path_factory.mktemp("outages")
    (folder / "buckets").mkdir()
    with localbucket_server(folder / "buckets", refusing) as bucket:
        keys = {
            f"KHRONIKA_{part}STORAGE_{name}": value
            for part in ("", "TRANSCODER_")
            for name, value in (("KEY_ID", CREDENTIALS.key_id), ("SECRET", CREDENTIALS.secret))
        }
        settings = {
            **storages(bucket.make_bucket("videos")),
            **keys,
            "KHRONIKA_TRANSCODER_CONCURRENCY": "2",
        }
        with outage_stack(folder / "home", own_servers, credentials, settings) as stack:
            yield stack


@pytest.fixture
def clip(clip_folder: Path) -> Path:
    return clips.very_short(clip_folder, locate_tools(os.environ))


@contextmanager
def refused(refusing: threading.Event) -> Iterator[None]:
    refusing.set()
    try:
        yield
    finally:
        refusing.clear()


def test_outputs_wait_for_a_bucket_that_refuses(
    stack: OutageStack, refusing: threading.Event, clip: Path
) -> None:
    source = stack.sources.offer(clip, whole=[HOLD])
    asset_id = stack.register_source(source)
    stack.await_job(asset_id, status="running")
    with refused(refusing):
        source.release()

        held = stack.await_hold(asset_id, "storage_unavailable")
        assert held["failures"] == 0
    stack.await_completed(asset_id)


def test_the_gate_waits_for_a_bucket_that_refuses(
    stack: OutageStack, refusing: threading.Event, clip: Path
) -> None:
    stack.pause("worker")
    asset_id = stack.register(clip)
    stack.await_job(asset_id, status="completed")
    with refused(refusing):
        stack.resume("worker")
        wait_until(
            lambda: stack.attempts(asset_id)[-1]["error_code"] == "storage_unavailable", "the cause"
        )
    stack.await_completed(asset_id)

    assert len(stack.attempts(asset_id)) == 1, "what was encoded is published"


def test_videos_wait_for_an_origin_that_is_down(stack: OutageStack, clip: Path) -> None:
    sources = [stack.sources.offer(clip, always=503) for _ in range(3)]
    assets = [stack.register_source(source) for source in sources]
    for asset_id in assets:
        stack.await_hold(asset_id, "source_unreachable")
    wait_until(lambda: all(stack.asset(asset_id)["holds"] > 3 for asset_id in assets), "many waits")

    for source in sources:
        source.always = SERVE
    for asset_id in assets:
        stack.await_completed(asset_id)


def test_a_video_is_completed_while_the_api_is_dead(stack: OutageStack, clip: Path) -> None:
    stack.pause("submitter")
    asset_id = stack.upload(clip)
    stack.fleet.kill("web", whole=True)
    try:
        stack.resume("submitter")
        stack.await_completed(asset_id)
        with pytest.raises(requests.ConnectionError):
            requests.get(stack.base_url, timeout=5)
    finally:
        stack.fleet.revive("web")
        stack.fleet.tend()
        wait_until(lambda: stack.has_started("web"), stack.home.logs / "web.log")
    assert "retry_scheduled" not in stack.event_types(asset_id)


def test_a_machine_with_a_broken_ffmpeg_takes_no_work_until_it_has_proved_itself(
    stack: OutageStack, clip: Path, tmp_path: Path
) -> None:
    working = f'#!/bin/sh\nexec {REAL} "$@"\n'
    program = Path(scripted_ffmpeg(tmp_path, working, locate_tools(os.environ).ffmpeg))
    whole, broken = program.read_text(), "#!/bin/sh\nexit 1\n"
    scratch = tmp_path / "scratch"
    settings = {"FFMPEG": str(program), "KHRONIKA_TRANSCODER_SCRATCH": str(scratch)}
    stack.add_machine("broken-machine", **settings)
    try:
        program.write_text(broken)
        stack.pause("transcoder-worker")
        assets = [stack.register(clip) for _ in range(3)]
        wait_until(lambda: "this machine takes no work" in stack.log("broken-machine"), "a word")
        stack.resume("transcoder-worker")
        for asset_id in assets:
            stack.await_completed(asset_id)
            assert [job["status"] for job in stack.jobs(asset_id)] == ["completed"]

        stack.pause("transcoder-worker")
        program.write_text(whole)
        stack.await_completed(stack.register(clip))
    finally:
        stack.resume("transcoder-worker")
        stack.fleet.drop("broken-machine")


@contextmanager
def killing_its_machines(scratch: Path, stack: OutageStack, asset_id: UUID) -> Iterator[None]:
    """Kill each process that encodes an asset, as a video does that crashes its encoder's host."""
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.05):
            for job in stack.jobs(asset_id):
                for encoder in ffmpegs_under(scratch / str(job["id"])):
                    with suppress(OSError):
                        os.kill(parent_of(encoder), signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_video_that_kills_its_machines_is_set_aside_and_its_neighbours_are_not_charged(
    stack: OutageStack, clip: Path
) -> None:
    poison_source = stack.sources.offer(clip, whole=[HOLD])
    poison = stack.register_source(poison_source)
    stack.await_job(poison, status="running")
    scratch = Path(stack.environment["KHRONIKA_TRANSCODER_SCRATCH"])
    with killing_its_machines(scratch, stack, poison):
        neighbours = [stack.register(clip) for _ in range(3)]
        poison_source.release()
        stack.await_failed(poison, "quarantined")
    for asset_id in neighbours:
        stack.await_completed(asset_id)

    assert [job["claims"] for job in stack.jobs(poison)] == [3]
    assert [[job["claims"] for job in stack.jobs(each)] for each in neighbours] == [[1]] * 3


def test_a_video_that_waited_too_long_is_counted_by_its_cause(
    stack: OutageStack, clip: Path
) -> None:
    asset_id = stack.register_source(stack.sources.offer(clip, always=503))
    stack.await_hold(asset_id, "source_unreachable")
    stack.write(WAIT_IS_OVER, id=asset_id)
    failed = stack.await_failed(asset_id, "source_unreachable")

    assert failed["failures"] == 0
    assert stack.event_types(asset_id)[-1] == "expired"
    wait_until(
        lambda: stack.metric('khronika_failures{code="source_unreachable"}') == 1, "the metric"
    )
    engine = make_engine(stack.environment["KHRONIKA_OPERATOR_DATABASE_URL"], name="test")
    with session_of(engine) as session:
        codes = {group.code for group in groups(session, FailedFilter())}
    engine.dispose()
    assert "source_unreachable" in codes
    assert not codes & {"retry_exhausted", "expired"}
