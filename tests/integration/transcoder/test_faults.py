"""A machine proves itself, a storage is no fault of a job, and a job that kills is set aside."""

import errno
import os
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, update

from pipeline.media.host_fitness import HostFitness
from pipeline.media.tool_proof import H264
from pipeline.media.tools import Tools
from pipeline.runtime.database import session_of
from pipeline.storage.local import LocalStorage
from tests import clips
from tests.integration.transcoder.conftest import Client, callbacks_of, row
from transcoder.models import Job
from transcoder.scratch import encode_slot, whole_machine
from transcoder.services import TranscoderServices
from transcoder.store import MAX_CLAIMS, cancel, claim
from transcoder.sweep import sweep
from transcoder.task_names import wake_deliver, wake_encode
from transcoder.transcode import transcode


@pytest.fixture
def broken(services: TranscoderServices, tmp_path: Path) -> TranscoderServices:
    """The services of a machine beside, whose ffmpeg ends with an error at once."""
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o700)
    scratch = tmp_path / "scratch-of-the-broken"
    scratch.mkdir()
    return replace(
        services,
        settings=services.settings.model_copy(update={"scratch": scratch}),
        tools=replace(services.tools, ffmpeg=str(program)),
        host=HostFitness(H264),
    )


def test_a_machine_with_a_broken_ffmpeg_hands_its_jobs_on(
    client: Client,
    services: TranscoderServices,
    broken: TranscoderServices,
    clip_folder: Path,
    tools: Tools,
) -> None:
    clip = clips.widescreen(clip_folder, tools)
    first, second = client.submit(clip), client.submit(clip)

    transcode(broken, first)
    transcode(broken, second)

    for job_id in (first, second):
        job = row(services, job_id)
        assert (job.status, job.claims, job.error) == ("queued", 0, None)
        assert callbacks_of(services, job_id) == []
    assert row(services, second).lease_token == 0
    assert wake_encode(first) in sweep(services)
    transcode(services, first)
    assert client.get(first)["status"] == "completed"


def test_a_machine_proves_itself_at_its_start(broken: TranscoderServices) -> None:
    assert broken.host.judge(broken.tools) is not None
    assert not broken.host.takes_work(broken.tools)


def test_a_machine_that_works_blames_the_file(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools
) -> None:
    job_id = client.submit(clips.truncated(clip_folder, tools))

    transcode(services, job_id)

    assert client.get(job_id)["error"]["code"] == "source_corrupt"


def test_a_storage_that_is_not_mounted_is_no_fault_of_the_job(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools, tmp_path: Path
) -> None:
    job_id = client.submit(clips.widescreen(clip_folder, tools))
    folder = tmp_path / "videos"
    folder.rename(tmp_path / "unmounted")
    folder.mkdir()

    transcode(services, job_id)

    error = client.get(job_id)["error"]
    assert (error["code"], error["retryable"]) == ("storage_unavailable", True)
    assert list(folder.iterdir()) == []


def test_a_storage_that_is_away_keeps_no_job_from_its_turn(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools, tmp_path: Path
) -> None:
    clip = clips.widescreen(clip_folder, tools)
    failed, waiting = client.submit(clip), client.submit(clip)
    folder = tmp_path / "videos"
    folder.rename(tmp_path / "unmounted")
    folder.mkdir()
    transcode(services, failed)
    assert row(services, failed).cleanup_owed

    wakes = sweep(services)

    assert wake_encode(waiting) in wakes
    assert wake_deliver(callbacks_of(services, failed)[0].id) in wakes
    assert list(folder.iterdir()) == []


def test_a_machine_whose_scratch_folder_is_gone_takes_no_work_and_blames_no_job(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools
) -> None:
    job_id = client.submit(clips.widescreen(clip_folder, tools))
    scratch = services.settings.scratch
    shutil.rmtree(scratch)

    assert transcode(services, job_id) == []

    assert not services.host.takes_work(services.tools)
    job = row(services, job_id)
    assert (job.status, job.claims, job.error) == ("queued", 0, None)


def test_a_transcoder_whose_scratch_folder_is_gone_makes_no_job(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools
) -> None:
    clip, job_id = clips.widescreen(clip_folder, tools), uuid4()
    shutil.rmtree(services.settings.scratch)

    refused = client.put(client.request(clip, job_id), job_id)

    assert (refused.status_code, refused.get_json()["error"]["code"]) == (503, "host_unfit")
    assert refused.get_json()["error"]["retryable"]
    services.settings.scratch.mkdir()
    assert client.put(client.request(clip, job_id), job_id).status_code == 201


def test_outputs_that_cannot_be_removed_keep_no_others(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools, tmp_path: Path
) -> None:
    clip = clips.widescreen(clip_folder, tools)
    ids = [client.submit(clip), client.submit(clip)]
    well = services.storages["default"]
    for job_id in ids:
        well.write(f"processed/a/{job_id}/master.m3u8", [b"#EXTM3U"])
        start(services, job_id)
        with session_of(services.engine) as session:
            cancel(session, job_id)
        lose(services, job_id)
    refused = f"processed/a/{ids[0]}"

    class Refusing(LocalStorage):
        def delete_prefix(self, prefix: str) -> int:
            if prefix == refused:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), prefix)
            return super().delete_prefix(prefix)

    sweep(replace(services, storages={"default": Refusing(tmp_path / "videos")}))

    assert [stat.key for stat in well.list()] == [f"{refused}/master.m3u8"]


def lose(services: TranscoderServices, job_id: UUID) -> None:
    """Let the worker that has a job be killed, and its lease lapse."""
    with session_of(services.engine) as session:
        past = func.now() - timedelta(seconds=1)
        session.execute(update(Job).where(Job.id == job_id).values(lease_expires_at=past))


def start(services: TranscoderServices, job_id: UUID) -> None:
    with session_of(services.engine) as session:
        assert claim(session, job_id, lease_sec=60)


def test_a_job_that_kills_its_workers_is_set_aside(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools
) -> None:
    job_id = client.submit(clips.widescreen(clip_folder, tools))
    for _ in range(MAX_CLAIMS):
        start(services, job_id)
        lose(services, job_id)

    sweep(services)

    job = client.get(job_id)
    assert (job["error"]["code"], job["error"]["retryable"]) == ("quarantined", False)
    assert job["crashes"] == MAX_CLAIMS


def test_the_workers_that_earlier_jobs_killed_count(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools
) -> None:
    clip = clips.widescreen(clip_folder, tools)
    job_id = client.submit(clip, crashes=MAX_CLAIMS + 4)
    assert client.put(client.request(clip, job_id), job_id).status_code == 200
    assert client.get(job_id)["crashes"] == 0

    start(services, job_id)
    lose(services, job_id)
    sweep(services)

    job = client.get(job_id)
    assert (job["error"]["code"], job["crashes"]) == ("quarantined", 1)


def test_a_job_whose_worker_was_lost_runs_alone(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools
) -> None:
    two = replace(services, settings=services.settings.model_copy(update={"concurrency": 2}))
    clip = clips.widescreen(clip_folder, tools)
    suspect, fresh = client.submit(clip), client.submit(clip)
    start(services, suspect)
    lose(services, suspect)

    with encode_slot(two.settings.scratch, 2) as taken:
        assert taken
        transcode(two, suspect)
        assert row(services, suspect).claims == 1, "it waits for the whole machine"
        transcode(two, fresh)
        assert row(services, fresh).claims == 0, "others let it pass"
    transcode(two, suspect)
    assert client.get(suspect)["status"] == "completed"
    transcode(two, fresh)
    assert client.get(fresh)["status"] == "completed"


def test_nothing_begins_beside_a_job_that_has_the_whole_machine(
    services: TranscoderServices,
) -> None:
    scratch = services.settings.scratch
    with whole_machine(scratch, 2) as alone, encode_slot(scratch, 2) as beside:
        assert alone
        assert not beside
    with encode_slot(scratch, 2) as afterwards:
        assert afterwards
