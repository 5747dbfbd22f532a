"""Scratch space: checked before a job is admitted; a full disk fails the job and leaves nothing."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from errno import ENOSPC
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from werkzeug.serving import make_server

from pipeline.domain.errors import RefusedForNow
from pipeline.domain.values import SubmitRequest
from pipeline.media.tools import Tools
from pipeline.runtime.database import session_of
from pipeline.storage.local import MARKER, LocalStorage, prepare_folder
from tests import clips
from tests.integration.transcoder.conftest import TOKEN, Client, row
from tests.selfhosted_account import FACTS, selfhosted_account
from transcoder.app import create_app
from transcoder.leftovers import clean_outputs, clean_scratch
from transcoder.scratch import workdir
from transcoder.scratch_space import LADDER_FACTOR, SMALLEST_BYTES, has_room, needed_bytes
from transcoder.services import TranscoderServices
from transcoder.store import Lease, cancel, claim
from transcoder.sweep import sweep
from transcoder.transcode import transcode

MIB = 1024**2
CLIP_BYTES = 10 * MIB
SAMPLE = Path("tests/media/big-buck-bunny-720p-5s.mp4")


def with_quota(services: TranscoderServices, quota_bytes: int) -> TranscoderServices:
    changed = services.settings.model_copy(update={"scratch_quota_bytes": quota_bytes})
    return replace(services, settings=changed)


def client_of(services: TranscoderServices, client: Client) -> Client:
    return Client(create_app(services).test_client(), client.source_url)


def test_the_estimate_holds_the_source_and_all_that_is_made_of_it() -> None:
    assert needed_bytes(CLIP_BYTES) == SMALLEST_BYTES + (1 + LADDER_FACTOR) * CLIP_BYTES
    assert needed_bytes(None) == SMALLEST_BYTES


def test_a_job_that_does_not_fit_is_refused_for_now_and_not_made(
    client: Client, services: TranscoderServices, clip_folder: Path
) -> None:
    tight = client_of(with_quota(services, needed_bytes(CLIP_BYTES) - 1), client)
    job_id = uuid4()
    body = tight.request(clip_folder / "any.mp4", job_id, source_size_bytes=CLIP_BYTES)
    answer = tight.put(body, job_id)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"].isdigit()
    error = answer.get_json()["error"]
    assert (error["code"], error["retryable"]) == ("insufficient_space", True)
    assert tight.http.get(f"/v1/jobs/{job_id}", headers=tight.headers).status_code == 404
    assert client.put(body, job_id).status_code == 201


def test_a_job_that_was_taken_is_found_again_although_there_is_no_room(
    client: Client, services: TranscoderServices, clip_folder: Path
) -> None:
    job_id = uuid4()
    body = client.request(clip_folder / "any.mp4", job_id)
    assert client.put(body, job_id).status_code == 201
    tight = client_of(with_quota(services, 1), client)
    assert tight.put(body, job_id).status_code == 200
    assert tight.put(body | {"source_size_bytes": 5}, job_id).status_code == 200  # a hint


def test_a_source_larger_than_the_disk_does_not_fit(services: TranscoderServices) -> None:
    scratch = services.settings.scratch
    free = shutil.disk_usage(scratch).free
    assert not has_room(scratch, None, uuid4(), 2 * free)
    assert has_room(scratch, None, uuid4(), MIB)


def test_what_running_jobs_have_reserved_is_not_given_twice(services: TranscoderServices) -> None:
    scratch, other = services.settings.scratch, uuid4()
    quota = 10 * MIB
    with workdir(scratch, Lease(uuid4(), 1), 6 * MIB) as folder:
        assert has_room(scratch, quota, other, 4 * MIB)
        assert not has_room(scratch, quota, other, 5 * MIB)
        (folder / "source").write_bytes(bytes(7 * MIB))  # more than it reserved
        assert not has_room(scratch, quota, other, 4 * MIB)
    assert has_room(scratch, quota, other, 10 * MIB)
    free = shutil.disk_usage(scratch).free
    with workdir(scratch, Lease(uuid4(), 1), free - MIB):
        assert not has_room(scratch, None, other, 64 * MIB)


def test_a_job_does_not_stand_in_its_own_way_after_a_crash(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools
) -> None:
    tight = with_quota(services, needed_bytes(None) + MIB)
    job_id = client.submit(clips.very_short(clip_folder, tools))
    with session_of(services.engine) as session:
        lost = claim(session, job_id, lease_sec=0)
    assert lost is not None
    folder = services.settings.scratch / f"{job_id}.{lost.token}"
    folder.mkdir()
    (folder / ".reserved").write_text(str(needed_bytes(None)))
    transcode(tight, job_id)
    assert client.get(job_id)["status"] == "completed"
    assert not folder.exists()


def test_a_worker_without_room_leaves_the_job_queued(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools
) -> None:
    job_id = client.submit(clips.very_short(clip_folder, tools))
    assert transcode(with_quota(services, 1), job_id) == []
    assert client.get(job_id)["status"] == "queued"
    transcode(services, job_id)
    assert client.get(job_id)["status"] == "completed"


def test_the_pipelines_adapter_waits_for_room_without_spending_budget(
    services: TranscoderServices, clip_folder: Path
) -> None:
    server = make_server("127.0.0.1", 0, create_app(with_quota(services, 1)), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    adapter = selfhosted_account(
        f"http://127.0.0.1:{server.server_port}", token=TOKEN, timeout_sec=10
    )
    request = SubmitRequest(
        asset_id=uuid4(),
        attempt_id=uuid4(),
        source_url="http://127.0.0.1:1/video.mp4",
        output_prefix="processed/a/b",
        poster_prefix="posters/a/b",
        source=replace(FACTS, size_bytes=CLIP_BYTES),
    )
    try:
        with pytest.raises(RefusedForNow) as refused:
            adapter.submit(request)
    finally:
        adapter._http.close()
        server.shutdown()
        thread.join()
        server.server_close()
    assert refused.value.code == "insufficient_space"
    assert refused.value.retry_after_sec == 30


class FillsUp(LocalStorage):
    """Storage whose disk becomes full after the outputs and before the pictures."""

    def publish_folder(
        self, folder: Path, prefix: str, *, beat: Callable[[], object] = lambda: None
    ) -> int:
        if prefix.startswith("posters/"):
            raise OSError(ENOSPC, os.strerror(ENOSPC))
        return super().publish_folder(folder, prefix, beat=beat)


def test_a_disk_that_fills_up_while_publishing_leaves_nothing_behind(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools, tmp_path: Path
) -> None:
    storage = FillsUp(tmp_path / "videos")
    filling = replace(services, storages={"default": storage})
    job_id = client.submit(clips.very_short(clip_folder, tools))
    transcode(filling, job_id)
    expect_no_space(client, job_id, "storage_unavailable")
    published = sum(stat.size_bytes for stat in storage.list())
    assert clean_outputs(filling, dry_run=True) == published > 0
    sweep(filling)
    assert list(storage.list()) == []
    assert not row(services, job_id).cleanup_owed


def expect_no_space(client: Client, job_id: UUID, code: str = "insufficient_space") -> None:
    error = client.get(job_id)["error"]
    assert (error["code"], error["retryable"]) == (code, True)


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this root may not mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts: sudo make check-system")


@pytest.fixture
def let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Admit every job, as if the space had been free a moment ago."""
    monkeypatch.setattr(TranscoderServices, "has_room", lambda *_: True)


@pytest.mark.system
@needs_root
@pytest.mark.usefixtures("let_in")
@pytest.mark.parametrize("room", ["for no source", "for a source", "for half an encode"])
def test_a_full_scratch_disk_is_a_failure_in_passing_that_leaves_nothing(
    client: Client,
    services: TranscoderServices,
    clip_folder: Path,
    tmp_path: Path,
    room: str,
) -> None:
    clip = clip_folder / "sample.mp4"
    shutil.copyfile(SAMPLE, clip)
    source = clip.stat().st_size
    size = {"for no source": source // 2, "for a source": source + MIB // 2}.get(
        room, 2 * source + MIB
    )
    job_id = client.submit(clip)
    with small_disk(tmp_path / "small", size) as scratch:
        cramped = services.settings.model_copy(update={"scratch": scratch})
        transcode(replace(services, settings=cramped), job_id)
        expect_no_space(client, job_id)
        assert [path.name for path in scratch.iterdir()] == [".slots"]
    assert list(services.storages["default"].list()) == []


@pytest.mark.system
@needs_root
def test_a_full_storage_is_a_failure_in_passing_that_leaves_nothing(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools, tmp_path: Path
) -> None:
    job_id = client.submit(clips.widescreen(clip_folder, tools))
    with small_disk(tmp_path / "small", 64 * 1024) as root:
        prepare_folder(root)
        storage = LocalStorage(root)
        full = replace(services, storages={"default": storage})
        transcode(full, job_id)
        expect_no_space(client, job_id, "storage_unavailable")
        sweep(full)
        assert list(storage.list()) == []
        assert [path.name for path in root.rglob("*") if path.is_file()] == [MARKER]


def test_a_dry_run_says_what_could_be_reclaimed_and_a_run_what_was(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools
) -> None:
    job_id = client.submit(clips.very_short(clip_folder, tools))
    with session_of(services.engine) as session:
        assert claim(session, job_id, lease_sec=0)
        assert cancel(session, job_id)
    services.storages["default"].write(f"processed/a/{job_id}/master.m3u8", [b"#EXTM3U"])
    orphan = services.settings.scratch / f"{uuid4()}.1"
    (orphan / "outputs").mkdir(parents=True)
    (orphan / "outputs" / "seg_00000.m4s").write_bytes(bytes(5000))

    assert cleaned("--dry-run") == [
        "scratch: 5000 bytes reclaimable",
        "outputs of jobs without a result: 7 bytes reclaimable",
    ]
    assert orphan.exists()
    assert cleaned() == [
        "scratch: 5000 bytes reclaimed",
        "outputs of jobs without a result: 7 bytes reclaimed",
    ]
    assert not orphan.exists()
    assert list(services.storages["default"].list()) == []
    assert clean_scratch(services) == clean_outputs(services) == 0


def cleaned(*options: Any) -> list[str]:
    """Run the command with this test's environment; return its lines."""
    command = [sys.executable, "-m", "transcoder.clean", *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
