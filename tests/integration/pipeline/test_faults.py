"""A trouble of ours, or a passing one elsewhere, is not charged to the video."""

import errno
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from pipeline.domain.failures import FAILURES
from pipeline.domain.states import Status
from pipeline.lifecycle.claim import claim_asset
from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.submit import submit
from pipeline.lifecycle.sweep import sweep
from pipeline.media.host_fitness import HostFitness
from pipeline.media.source_limits import MediaRefused, Refusal
from pipeline.operations.first_start import prepare_first
from pipeline.records.models import Asset, Attempt
from pipeline.runtime.database import session_of
from pipeline.services import Services
from tests.integration.pipeline.conftest import CLIP, OWNER, World
from tests.scripted_provider import callback

MANY = 8
"""More tries than the budget of three has."""


def wait_out(world: World, asset_id: UUID, services: Services | None = None) -> str:
    """Let the wait of an asset pass, and try again."""
    world.make_past(asset_id, "next_attempt_at")
    return submit(services or world.services, asset_id).result


def report(world: World, job: dict[str, object]) -> str:
    received = world.receive(callback(job))
    assert received.wake is not None
    return reconcile(world.services, received.wake.id).result


def wait_sec(asset: Asset) -> float:
    assert asset.next_attempt_at is not None
    return (asset.next_attempt_at - asset.updated_at).total_seconds()


@pytest.mark.parametrize("status", [500, 503, 429])
def test_an_origin_that_is_down_for_long_costs_its_video_nothing(world: World, status: int) -> None:
    world.provider.origin_status = status
    asset_id = world.create()
    results = [wait_out(world, asset_id) for _ in range(MANY)]

    assert results == ["retrying"] * MANY
    held = world.asset(asset_id)
    assert (held.failures, held.holds, held.hold_reason) == (0, MANY, "source_unreachable")
    assert wait_sec(held) > 60

    world.provider.origin_status = None
    assert wait_out(world, asset_id) == "submitted"
    assert report(world, world.provider.finish(world.attempt_id(asset_id))) == "completed"
    done = world.asset(asset_id)
    assert (done.holds, done.held_since, done.error_code) == (0, None, None)


def test_the_origin_says_when_it_wants_to_be_asked_again(world: World) -> None:
    world.provider.origin_status = 503
    world.provider.origin_headers = {"Retry-After": "240"}
    asset_id = world.create()

    submit(world.services, asset_id)

    assert wait_sec(world.asset(asset_id)) >= 239


@pytest.mark.parametrize(
    "code", ["insufficient_space", "storage_unavailable", "source_unreachable", "host_unfit"]
)
def test_a_trouble_of_our_transcoder_costs_its_video_nothing(world: World, code: str) -> None:
    asset_id = world.create()
    for _ in range(MANY):
        assert wait_out(world, asset_id) == "submitted"
        job = world.provider.fail(world.attempt_id(asset_id), code, retryable=True)
        assert report(world, job) == "retrying"

    held = world.asset(asset_id)
    assert (held.failures, held.hold_reason) == (0, code)
    assert wait_out(world, asset_id) == "submitted"
    assert report(world, world.provider.finish(world.attempt_id(asset_id))) == "completed"


def test_a_vendor_that_bills_is_not_asked_beyond_the_budget(world: World) -> None:
    asset_id = world.create()
    with world.capabilities(bills_failures=True):
        for _ in range(3):
            wait_out(world, asset_id)
            job = world.provider.fail(
                world.attempt_id(asset_id), "source_unreachable", retryable=True
            )
            report(world, job)

    failed = world.asset(asset_id)
    assert (failed.status, failed.error_code) == (Status.FAILED, "source_unreachable")
    assert world.types(asset_id)[-1] == "retry_exhausted"
    assert len(world.provider.puts) == 3


def test_a_trouble_that_lasts_a_day_ends_the_video_with_its_own_code(world: World) -> None:
    world.provider.origin_status = 503
    asset_id = world.create()
    submit(world.services, asset_id)
    world.execute(
        "UPDATE video_assets SET held_since = held_since - interval '25 h' WHERE id = :id",
        id=asset_id,
    )
    wait_out(world, asset_id)

    sweep(world.services)

    failed = world.asset(asset_id)
    assert (failed.status, failed.error_code) == (Status.FAILED, "source_unreachable")
    assert failed.error_message is not None
    assert FAILURES["source_unreachable"].sentence in failed.error_message
    assert FAILURES["expired"].sentence in failed.error_message
    assert world.types(asset_id)[-1] == "expired"


@pytest.fixture
def unfit(world: World) -> Services:
    """A worker on a machine whose ffprobe does not work."""
    tools = replace(world.services.tools, ffprobe="/bin/false")
    return replace(world.services, tools=tools, host=HostFitness())


def test_a_machine_that_measures_nothing_blames_no_video_and_takes_no_more(
    world: World, unfit: Services
) -> None:
    first, second = world.create(), world.create()

    assert submit(unfit, first).result == "retrying"
    assert world.asset(first).hold_reason == "host_unfit"
    assert submit(unfit, second).result == "host_unfit"

    assert world.asset(second).status is Status.QUEUED
    assert submit(world.services, second).result == "submitted"
    assert wait_out(world, first) == "submitted"
    assert world.asset(first).failures == 0


def test_a_machine_that_works_again_takes_work_again(world: World, unfit: Services) -> None:
    asset_id = world.create()
    submit(unfit, asset_id)
    later = replace(unfit.host, clock=lambda: unfit.host.clock() + 3600)
    repaired = replace(unfit, tools=world.services.tools, host=later)

    assert wait_out(world, asset_id, repaired) == "submitted"


def store_outputs(world: World, asset_id: UUID, folder: Path) -> dict[str, str]:
    """Put finished outputs where the attempt's belong; return their addresses."""
    prefix = f"processed/{asset_id}/{world.attempt_id(asset_id)}"
    posters = f"posters/{asset_id}/{world.attempt_id(asset_id)}"
    for name in ("master.m3u8", "index.m3u8", "video.mp4", *_pieces(folder)):
        world.services.storage.write(f"{prefix}/{name}", [(folder / name).read_bytes()])
    world.services.storage.write(f"{posters}/poster.jpg", [(folder / "poster.jpg").read_bytes()])
    return {
        "manifest": f"storage:{prefix}/master.m3u8",
        "fallback": f"storage:{prefix}/video.mp4",
        "poster": f"storage:{posters}/poster.jpg",
        "thumbnail": f"storage:{posters}/poster.jpg",
    }


def _pieces(folder: Path) -> list[str]:
    return [path.name for pattern in ("*.m4s", "init*.mp4") for path in folder.glob(pattern)]


def test_our_own_outputs_are_checked_while_the_api_that_serves_them_is_dead(
    world: World, outputs_folder: Path
) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    addresses = store_outputs(world, asset_id, outputs_folder)
    job = world.provider.finish(world.attempt_id(asset_id), **addresses)

    assert report(world, job) == "completed"


def test_what_lies_in_the_storage_must_still_play(world: World, outputs_folder: Path) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    addresses = store_outputs(world, asset_id, outputs_folder)
    poster = addresses["poster"].removeprefix("storage:")
    world.services.storage.write(poster, [(outputs_folder / "black.jpg").read_bytes()])

    report(world, world.provider.finish(world.attempt_id(asset_id), **addresses))

    assert world.asset(asset_id).error_code == "output_rejected"


def lose_storage(folder: Path) -> Path:
    """Leave an empty folder in the place of the storage; return the place of the files."""
    away = folder.with_name("unmounted")
    folder.rename(away)
    folder.mkdir()
    return away


def test_outputs_that_cannot_be_read_by_the_deadline_keep_the_cause_and_cost_nothing(
    world: World, outputs_folder: Path, tmp_path: Path
) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    addresses = store_outputs(world, asset_id, outputs_folder)
    job = world.provider.finish(world.attempt_id(asset_id), **addresses)
    lose_storage(tmp_path / "post-videos")

    assert report(world, job) == "waiting: storage_unavailable"
    world.execute("DELETE FROM webhook_deliveries")
    world.make_past(asset_id, "deadline_at")
    sweep(world.services)

    held = world.asset(asset_id)
    assert (held.status, held.failures) == (Status.RETRYING, 0)
    assert held.hold_reason == "storage_unavailable"


def test_outputs_that_can_be_read_again_are_published_without_a_trace_of_the_outage(
    world: World, outputs_folder: Path, tmp_path: Path
) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    addresses = store_outputs(world, asset_id, outputs_folder)
    job = world.provider.finish(world.attempt_id(asset_id), **addresses)
    folder = tmp_path / "post-videos"
    away = lose_storage(folder)
    report(world, job)
    folder.rmdir()
    away.rename(folder)

    assert report(world, job) == "completed"
    with session_of(world.services.engine) as session:
        assert session.get_one(Attempt, world.attempt_id(asset_id)).error_code is None


@pytest.fixture
def uploaded(world: World) -> UUID:
    """An asset whose source lies in our storage."""
    asset_id = world.create()
    key = f"original/{OWNER}/{asset_id}/source.mp4"
    world.services.storage.write(key, [CLIP.read_bytes()])
    world.execute_past_triggers(
        "UPDATE video_assets SET source_url = :url WHERE id = :id",
        url=f"storage:{key}",
        id=asset_id,
    )
    return asset_id


def test_an_upload_on_a_disk_that_is_not_mounted_waits_for_it(
    world: World, uploaded: UUID, tmp_path: Path
) -> None:
    folder, away = tmp_path / "post-videos", tmp_path / "unmounted"
    folder.rename(away)
    folder.mkdir()

    assert [wait_out(world, uploaded) for _ in range(MANY)] == ["retrying"] * MANY
    held = world.asset(uploaded)
    assert (held.failures, held.hold_reason) == (0, "storage_unavailable")
    assert list(folder.iterdir()) == []

    folder.rmdir()
    away.rename(folder)
    assert wait_out(world, uploaded) == "submitted"


def test_a_worker_marks_the_folder_of_a_new_installation_and_no_other(
    world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "post-videos"
    shutil.rmtree(folder)

    assert prepare_first(world.services)
    world.services.storage.write("original/a", [b"x"])
    world.create()
    shutil.rmtree(folder)

    assert not prepare_first(world.services)
    assert not folder.exists()


def lose_worker(world: World, asset_id: UUID, claims: int) -> None:
    """Let the worker of a claim be killed before it called the provider."""
    world.execute(
        "UPDATE video_assets SET claims = :claims, provider_job_id = NULL, next_poll_at = NULL,"
        " lease_expires_at = now() - interval '1 s' WHERE id = :id",
        claims=claims,
        id=asset_id,
    )


def test_the_last_claims_of_assets_that_died_together_run_one_after_the_other(
    world: World,
) -> None:
    poison, neighbour = world.create(), world.create()
    for asset_id in (poison, neighbour):
        submit(world.services, asset_id)
        lose_worker(world, asset_id, claims=2)
    with session_of(world.services.engine) as session:
        claim_asset(world.services, session, poison)

    assert submit(world.services, neighbour).result == "another_suspect_first"
    assert world.asset(neighbour).claims == 2

    lose_worker(world, poison, claims=3)
    assert submit(world.services, poison).result == "worker_crashed"
    assert submit(world.services, neighbour).result == "submitted"


def test_the_machines_that_a_video_stopped_are_counted_over_its_attempts(world: World) -> None:
    asset_id = world.create()
    for lost in (1, 2):
        wait_out(world, asset_id)
        attempt_id = world.attempt_id(asset_id)
        world.provider.job(attempt_id, crashes=lost)
        report(world, world.provider.fail(attempt_id, "encode_failed", retryable=True))

    wait_out(world, asset_id)

    assert world.provider.jobs[world.attempt_id(asset_id)]["spec"]["crashes"] == 3


def test_a_video_that_stops_machines_is_not_tried_again(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    attempt_id = world.attempt_id(asset_id)

    report(world, world.provider.fail(attempt_id, "quarantined", retryable=False))

    failed = world.asset(asset_id)
    assert (failed.status, failed.error_code) == (Status.FAILED, "quarantined")


def test_an_upload_that_may_not_be_opened_is_not_called_damaged(
    world: World, uploaded: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def misread(*_: object, **__: object) -> None:
        raise MediaRefused(Refusal.SOURCE_CORRUPT, "The file cannot be opened.")

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.content.source.probe", misread)  # as ffprobe, told apart by nothing
        patch.setattr(world.services.storage, "read", refuse)
        assert submit(world.services, uploaded).result == "retrying"

    held = world.asset(uploaded)
    assert (held.failures, held.hold_reason) == (0, "storage_unavailable")
    assert wait_out(world, uploaded) == "submitted"


def test_a_machine_that_can_store_no_sample_takes_no_more_work(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = world.create(), world.create()
    services = replace(world.services, host=HostFitness())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))

    assert submit(services, first).result == "retrying"
    assert submit(services, second).result == "host_unfit"

    held = world.asset(first)
    assert (held.failures, held.hold_reason) == (0, "host_unfit")
    assert world.asset(second).status is Status.QUEUED
