"""Outages of disks under the real processes: videos wait, and complete when the disk is back."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from cli.api_requests import ApiProblem
from pipeline.media.tools import locate_tools
from tests import clips
from tests.acceptance.sources import HOLD
from tests.conditions import wait_until
from tests.system.outage_stack import (
    Disk,
    OutageStack,
    OwnServers,
    can_mount,
    outage_stack,
    own_servers,
    small_disk,
    storages,
)

__all__ = ["own_servers"]

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not can_mount(), reason="needs root and the right to mount"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outages")


@pytest.fixture(scope="module")
def disk(folder: Path) -> Iterator[Disk]:
    """The disk of the storage."""
    with small_disk(folder / "post-videos") as disk:
        yield disk


@pytest.fixture(scope="module")
def scratch(folder: Path) -> Iterator[Disk]:
    """The disk of the encodes."""
    with small_disk(folder / "scratch") as disk:
        yield disk


@pytest.fixture(scope="module")
def stack(
    own_servers: OwnServers,
    credentials: Mapping[str, str],
    disk: Disk,
    scratch: Disk,
    folder: Path,
) -> Iterator[OutageStack]:
    settings = {
        **storages(disk.folder.as_uri()),
        "KHRONIKA_TRANSCODER_SCRATCH": str(scratch.folder),
    }
    with outage_stack(folder / "home", own_servers, credentials, settings) as stack:
        yield stack


@pytest.fixture
def clip(clip_folder: Path) -> Path:
    return clips.very_short(clip_folder, locate_tools(os.environ))


OUTAGES: Mapping[str, Callable[[Disk], object]] = {
    "full": Disk.fill,
    "without a free file": Disk.use_all_files,
    "read-only": Disk.make_read_only,
    "not mounted": Disk.take_away,
}


@pytest.mark.parametrize("begin", OUTAGES.values(), ids=OUTAGES.keys())
def test_outputs_wait_for_their_disk(
    stack: OutageStack, disk: Disk, clip: Path, begin: Callable[[Disk], object]
) -> None:
    source = stack.sources.offer(clip, whole=[HOLD])
    asset_id = stack.register_source(source)
    stack.await_job(asset_id, status="running")
    with disk.mended_afterwards():
        begin(disk)
        source.release()

        held = stack.await_hold(asset_id, "storage_unavailable")
        assert held["failures"] == 0
    stack.await_completed(asset_id)


def test_nothing_is_written_in_place_of_a_disk_that_is_not_mounted(
    stack: OutageStack, disk: Disk, clip: Path
) -> None:
    with disk.mended_afterwards():
        disk.take_away()
        asset_id = stack.register(clip)
        stack.await_hold(asset_id, "storage_unavailable")
        wait_until(lambda: stack.metric("khronika_storage_up") == 0, "the metric")
        with pytest.raises(ApiProblem) as refused:
            stack.upload(clip)

        assert refused.value.code == "storage_unavailable"
        assert list(disk.folder.iterdir()) == []
    stack.await_completed(asset_id)
    wait_until(lambda: stack.metric("khronika_storage_up") == 1, "the metric")


def test_finished_outputs_wait_for_a_disk_that_cannot_be_read(
    stack: OutageStack, disk: Disk, clip: Path
) -> None:
    stack.pause("worker")
    asset_id = stack.register(clip)
    stack.await_job(asset_id, status="completed")
    with disk.mended_afterwards():
        disk.take_away()
        stack.resume("worker")
        wait_until(
            lambda: stack.attempts(asset_id)[-1]["error_code"] == "storage_unavailable", "the cause"
        )
    stack.await_completed(asset_id)

    assert len(stack.attempts(asset_id)) == 1, "what was encoded is published"


def test_an_upload_to_a_full_disk_is_refused_with_a_code_and_goes_on_later(
    stack: OutageStack, disk: Disk, clip: Path
) -> None:
    post_id = uuid4()
    with stack.client() as client:
        ticket = client.ticket(post_id, clip)
        with disk.mended_afterwards():
            disk.fill()
            with pytest.raises(ApiProblem) as refused:
                client.send(ticket, clip)
            assert refused.value.code == "storage_unavailable"

        upload_id = client.send(ticket, clip)
        asset = client.create(post_id, upload_id=upload_id)
    stack.await_completed(asset["id"])


def test_a_job_waits_for_room_on_the_disk_of_encodes(
    stack: OutageStack, scratch: Disk, clip: Path
) -> None:
    with scratch.mended_afterwards():
        scratch.fill()
        asset_id = stack.register(clip)
        held = stack.await_hold(asset_id, "insufficient_space")

        assert held["failures"] == 0
    stack.await_completed(asset_id)


def test_a_machine_whose_disk_of_encodes_is_read_only_takes_no_work(
    stack: OutageStack, scratch: Disk, clip: Path
) -> None:
    with scratch.mended_afterwards():
        scratch.make_read_only()
        asset_id = stack.register(clip)
        wait_until(lambda: "this machine takes no work" in stack.log("transcoder-worker"), "a word")

        assert {job["claims"] for job in stack.jobs(asset_id)} <= {0}
    stack.await_completed(asset_id)


UNDER_WAY = {name: OUTAGES[name] for name in ("full", "without a free file", "not mounted")}


@pytest.mark.parametrize("begin", UNDER_WAY.values(), ids=UNDER_WAY.keys())
def test_an_encode_under_way_survives_its_disk(
    stack: OutageStack, scratch: Disk, clip: Path, begin: Callable[[Disk], object]
) -> None:
    source = stack.sources.offer(clip, whole=[HOLD])
    asset_id = stack.register_source(source)
    stack.await_job(asset_id, status="running")
    with scratch.mended_afterwards():
        begin(scratch)
        source.release()
        stack.await_job_not(asset_id, status="running")
    stack.await_completed(asset_id)
