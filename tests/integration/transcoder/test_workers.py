import os
import shutil
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, update

from pipeline.media.tool_proof import PROOF
from pipeline.media.tools import Tools
from pipeline.net.signatures import verify
from pipeline.runtime.database import session_of
from tests import clips
from tests.integration.transcoder.conftest import (
    SECRET,
    Client,
    Receiver,
    callbacks_of,
    eventually,
    ffmpegs_under,
    parent_of,
    row,
    serving,
)
from transcoder.callback_delivery import deliver_callback
from transcoder.heartbeat import Heartbeat
from transcoder.leftovers import clean_scratch
from transcoder.models import TERMINAL, Job, OwedCallback
from transcoder.scratch import encode_slot, workdir
from transcoder.services import TranscoderServices
from transcoder.store import KEEP_FOR, MAX_CLAIMS, LeaseLost, cancel, claim, complete, renew
from transcoder.sweep import sweep
from transcoder.task_names import DELIVER, wake_encode
from transcoder.transcode import transcode

SAMPLE = Path("tests/media/big-buck-bunny-720p-5s.mp4")


@pytest.fixture
def long_clip(clip_folder: Path, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a clip whose encode lasts long enough to be interrupted."""
    monkeypatch.setenv("KHRONIKA_TRANSCODER_PRESET", "veryslow")
    clip = clip_folder / "long.mp4"
    if not clip.exists():
        clips._ffmpeg(
            clip_folder, tools, clip.name, "-stream_loop", "1", "-i", str(SAMPLE), "-c", "copy"
        )
    return clip


def ended(services: TranscoderServices, job_id: UUID, timeout_sec: float = 120) -> str:
    def status() -> str | None:
        found = row(services, job_id).status
        return found if found in TERMINAL else None

    return str(eventually("the job ends", status, timeout_sec))


def encoding(scratch: Path, job_id: UUID, token: int = 1) -> int:
    """Wait until an encoder runs for a claim of a job; return its process id."""
    found = eventually("an encode runs", lambda: ffmpegs_under(scratch / f"{job_id}.{token}"))
    return int(found[0])


@pytest.mark.usefixtures("worker")
def test_a_job_goes_through_a_worker_to_a_signed_callback(
    client: Client,
    services: TranscoderServices,
    receiver: Receiver,
    clip_folder: Path,
    tools: Tools,
) -> None:
    job_id = client.submit(clips.widescreen(clip_folder, tools))
    assert ended(services, job_id) == "completed"
    eventually("the callback arrives", receiver.terminal)

    job = client.get(job_id)
    assert (job["step"], job["progress"], job["error"]) == ("done", 100, None)
    assert job["started_at"] is not None
    assert job["finished_at"] is not None
    result, storage = job["result"], services.storages["default"]
    assert (result["duration_sec"], result["width"], result["height"]) == (2.0, 640, 360)
    places = [result[name] for name in ("manifest", "fallback", "poster", "thumbnail")]
    for place in (*places, *(rendition["playlist"] for rendition in result["renditions"])):
        assert storage.stat(place.removeprefix("storage:")).size_bytes > 0
    stored = sum(stat.size_bytes for stat in storage.list())
    assert result["bytes"] == stored

    [callback] = receiver.terminal()
    signed = verify(callback.headers, callback.body, [SECRET], now=datetime.now(UTC))
    assert callback.event["type"] == "job.completed"
    assert callback.event["data"]["job"] == job
    assert signed.id == str(callbacks_of(services, job_id)[0].id)
    assert callback.headers["X-Request-Id"] == row(services, job_id).request_id
    assert list(services.settings.scratch.glob(f"{job_id}*")) == []


def test_a_refused_source_fails_with_its_code_and_a_callback(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools
) -> None:
    job_id = client.submit(clips.html(clip_folder, tools))
    transcode(services, job_id)
    job = client.get(job_id)
    assert job["status"] == "failed"
    assert job["error"]["code"] == "unsupported_media"
    assert job["error"]["retryable"] is False
    assert len(callbacks_of(services, job_id)) == 1


def test_a_source_that_is_gone_fails_as_unreachable(
    client: Client, services: TranscoderServices, clip_folder: Path
) -> None:
    job_id = client.submit(clip_folder / "never-made.mp4")
    transcode(services, job_id)
    assert client.get(job_id)["error"]["code"] == "source_unreachable"
    assert client.get(job_id)["error"]["retryable"] is False


def test_a_job_that_is_cancelled_while_its_source_trickles_gives_up_its_place(
    client: Client, services: TranscoderServices
) -> None:
    asked, over = threading.Event(), threading.Event()

    class Trickle(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            asked.set()
            with suppress(OSError):
                while not over.wait(0.05):
                    self.wfile.write(b"x")

        def log_message(self, *_: object) -> None:
            pass

    job_id = uuid4()
    with serving(Trickle) as url, ThreadPoolExecutor(1) as pool:
        body = client.request(Path("a.mp4"), job_id) | {"source_url": f"{url}/a.mp4"}
        assert client.put(body, job_id).status_code == 201
        work = pool.submit(transcode, services, job_id)
        try:
            assert asked.wait(60)
            client.delete(job_id)
            assert work.result(timeout=60) == []
        finally:
            over.set()

    assert client.get(job_id)["status"] == "cancelled"
    assert list(services.settings.scratch.glob(f"{job_id}*")) == []


def test_a_task_run_twice_works_once(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools
) -> None:
    job_id = client.submit(clips.very_short(clip_folder, tools))
    transcode(services, job_id)
    finished = row(services, job_id).finished_at
    assert transcode(services, job_id) == []
    assert row(services, job_id).finished_at == finished
    assert len(callbacks_of(services, job_id)) == 1


def test_of_two_workers_one_takes_the_job(
    client: Client,
    services: TranscoderServices,
    clip_folder: Path,
    tools: Tools,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job_id = client.submit(clips.widescreen(clip_folder, tools))
    # With two encode slots, the lease alone decides.
    roomy = replace(services, settings=services.settings.model_copy(update={"concurrency": 2}))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: transcode(roomy, job_id), range(2)))
    assert row(services, job_id).claims == 1
    assert client.get(job_id)["status"] == "completed"
    assert len(callbacks_of(services, job_id)) == 1


@pytest.mark.usefixtures("worker")
def test_a_killed_worker_is_taken_over_and_the_job_completed_once(
    long_clip: Path,
    client: Client,
    services: TranscoderServices,
    receiver: Receiver,
) -> None:
    job_id = client.submit(long_clip)
    scratch = services.settings.scratch
    encoder = encoding(scratch, job_id)
    os.kill(parent_of(encoder), signal.SIGKILL)
    eventually("the encoder dies with it", lambda: encoder not in ffmpegs_under(scratch))

    assert ended(services, job_id) == "completed"
    assert row(services, job_id).claims == 2
    eventually("the callback arrives", receiver.terminal)
    assert len(callbacks_of(services, job_id)) == 1
    eventually("scratch is clean", lambda: not list(scratch.glob(f"{job_id}*")))


def test_a_job_that_outlives_its_workers_is_set_aside(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools
) -> None:
    job_id = client.submit(clips.very_short(clip_folder, tools))
    with session_of(services.engine) as session:
        lost = {"status": "running", "claims": MAX_CLAIMS, "lease_expires_at": func.now()}
        session.execute(update(Job).where(Job.id == job_id).values(lost))
    sweep(services)
    assert client.get(job_id)["error"]["code"] == "quarantined"
    assert client.get(job_id)["error"]["retryable"] is False
    sweep(services)
    assert len(callbacks_of(services, job_id)) == 1


@pytest.mark.usefixtures("worker")
def test_deleting_a_running_job_kills_its_encoder_and_leaves_nothing(
    long_clip: Path, client: Client, services: TranscoderServices, receiver: Receiver
) -> None:
    job_id = client.submit(long_clip)
    scratch = services.settings.scratch
    encoder = encoding(scratch, job_id)
    group = os.getpgid(encoder)
    assert client.delete(job_id).status_code == 202

    eventually("no process of the group is left", lambda: not group_exists(group))
    eventually("scratch is clean", lambda: not list(scratch.glob(f"{job_id}*")))
    assert client.get(job_id)["status"] == "cancelled"
    eventually("its output is cleaned up", lambda: not row(services, job_id).cleanup_owed)
    assert list(services.storages["default"].list()) == []
    assert receiver.terminal() == []


def test_an_encoder_that_hangs_is_killed_with_its_group_and_may_be_tried_again(
    long_clip: Path, client: Client, services: TranscoderServices
) -> None:
    impatient = replace(services, settings=services.settings.model_copy(update={"stall_sec": 3}))
    job_id = client.submit(long_clip)
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(transcode, impatient, job_id)
        encoder = encoding(services.settings.scratch, job_id)
        group = os.getpgid(encoder)
        os.kill(encoder, signal.SIGSTOP)
        assert [wake.task for wake in done.result(60)] == [DELIVER]
    assert not group_exists(group)
    error = client.get(job_id)["error"]
    assert (error["code"], error["retryable"]) == ("stalled", True)
    assert "3 s" in error["message"]
    assert list(services.settings.scratch.glob(f"{job_id}*")) == []


def test_progress_is_told_as_it_grows_and_not_kept(
    client: Client,
    services: TranscoderServices,
    receiver: Receiver,
    clip_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The encode of a five-second clip ends before a second report would be due.
    monkeypatch.setattr("transcoder.heartbeat._REPORT_EVERY_SEC", 0.1)
    monkeypatch.setattr("transcoder.heartbeat._RENEW_EVERY_SEC", 0.1)
    clip = clip_folder / "progress.mp4"
    shutil.copyfile(SAMPLE, clip)
    job_id = client.submit(clip, max_profile="360p")
    transcode(services, job_id)
    told = [r.event["data"]["job"] for r in receiver.received]
    assert {r.event["type"] for r in receiver.received} == {"job.progress"}
    assert {(job["id"], job["status"]) for job in told} == {(str(job_id), "running")}
    percents = [job["progress"] for job in told]
    assert percents == sorted(percents)
    assert percents[-1] > 0
    news = [(job["step"], job["progress"]) for job in told]
    assert len(set(news)) == len(news)
    for received in receiver.received:
        verify(received.headers, received.body, [SECRET], now=datetime.now(UTC))
    assert len({r.headers["webhook-id"] for r in receiver.received}) == len(told)
    assert len(callbacks_of(services, job_id)) == 1  # only the final callback is stored


def test_progress_is_told_every_two_seconds_at_most_and_only_when_it_changed(
    client: Client,
    services: TranscoderServices,
    receiver: Receiver,
    clip_folder: Path,
    tools: Tools,
) -> None:
    job_id = client.submit(clips.very_short(clip_folder, tools))
    with session_of(services.engine) as session:
        lease = claim(session, job_id, lease_sec=60)
    assert lease is not None
    now = 0.0
    heartbeat = Heartbeat(services, lease, row(services, job_id), clock=lambda: now)
    told = []
    for second in range(13):
        now = float(second)
        heartbeat.note_encoding("encoding", 10.0 * min(second, 8))
        heartbeat.beat()
        told.append(len(receiver.received))
    assert told == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5, 5, 5]


def group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_output_published_as_the_job_was_cancelled_is_removed(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools, tmp_path: Path
) -> None:
    job_id = client.submit(clips.very_short(clip_folder, tools))
    with session_of(services.engine) as session:
        assert claim(session, job_id, lease_sec=0)
        assert cancel(session, job_id)
    storage = services.storages["default"]
    storage.write(f"processed/a/{job_id}/master.m3u8", [b"#EXTM3U"])
    storage.write(f"posters/a/{job_id}/poster.jpg", [b"jpeg"])
    storage.write("processed/a/another/master.m3u8", [b"#EXTM3U"])
    sweep(services)
    assert [stat.key for stat in storage.list()] == ["processed/a/another/master.m3u8"]


def test_a_write_with_an_old_lease_changes_nothing(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools
) -> None:
    job_id = client.submit(clips.very_short(clip_folder, tools))
    with session_of(services.engine) as session:
        old = claim(session, job_id, lease_sec=0)
    with session_of(services.engine) as session:
        new = claim(session, job_id, lease_sec=60)
    assert old is not None
    assert new is not None
    with pytest.raises(LeaseLost), session_of(services.engine) as session:
        complete(session, old, {"from": "the old worker"})
    with pytest.raises(LeaseLost), session_of(services.engine) as session:
        renew(session, old, step="encoding", progress=99, lease_sec=60)
    assert client.get(job_id)["status"] == "running"
    assert client.get(job_id)["progress"] == 0


def test_a_job_whose_message_was_lost_is_found_by_the_sweep(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools
) -> None:
    job_id = client.submit(clips.very_short(clip_folder, tools))
    assert wake_encode(job_id) in sweep(services)


def test_a_full_machine_leaves_the_job_queued(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools
) -> None:
    job_id = client.submit(clips.very_short(clip_folder, tools))
    with encode_slot(services.settings.scratch, 1) as held:
        assert held
        assert transcode(services, job_id) == []
        assert client.get(job_id)["status"] == "queued"
    transcode(services, job_id)
    assert client.get(job_id)["status"] == "completed"


def test_folders_of_dead_claims_are_removed_and_live_ones_kept(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools
) -> None:
    job_id = client.submit(clips.very_short(clip_folder, tools))
    with session_of(services.engine) as session:
        lease = claim(session, job_id, lease_sec=60)
    assert lease is not None
    dead = services.settings.scratch / f"{uuid4()}.1"
    older = services.settings.scratch / f"{job_id}.0"
    proof = services.settings.scratch / f"{PROOF}killed"
    for folder in (dead, older, proof):
        folder.mkdir()
    os.utime(proof, (0, 0))
    with workdir(services.settings.scratch, lease) as live:
        clean_scratch(services)
        assert live.is_dir()
    assert not any(folder.exists() for folder in (dead, older, proof))


def let_time_pass(services: TranscoderServices, job_id: UUID, length: timedelta) -> None:
    ended = {"finished_at": Job.finished_at - length}
    with session_of(services.engine) as session:
        session.execute(update(Job).where(Job.id == job_id).values(ended))


def test_a_job_is_remembered_for_thirty_days_after_its_end_and_then_forgotten(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools
) -> None:
    clip = clips.html(clip_folder, tools)
    job_id = client.submit(clip)
    transcode(services, job_id)
    [callback] = callbacks_of(services, job_id)
    deliver_callback(services.engine, services.callback_sender, callback.id)

    let_time_pass(services, job_id, KEEP_FOR - timedelta(minutes=1))
    sweep(services)
    again = client.put(client.request(clip, job_id), job_id)
    assert (again.status_code, again.get_json()["status"]) == (200, "failed")
    assert timedelta(days=30) == KEEP_FOR

    let_time_pass(services, job_id, timedelta(minutes=2))
    sweep(services)
    assert client.http.get(f"/v1/jobs/{job_id}", headers=client.headers).status_code == 404
    assert callbacks_of(services, job_id) == []


def test_a_job_whose_end_is_still_to_be_told_is_not_forgotten(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools
) -> None:
    job_id = client.submit(clips.html(clip_folder, tools))
    waiting = client.submit(clips.very_short(clip_folder, tools))
    transcode(services, job_id)
    let_time_pass(services, job_id, KEEP_FOR + timedelta(days=1))
    sweep(services)
    assert client.get(job_id)["status"] == "failed"
    assert client.get(waiting)["status"] == "queued"
    with session_of(services.engine) as session:
        session.execute(update(OwedCallback).values(abandoned_at=func.now()))
    sweep(services)
    assert callbacks_of(services, job_id) == []
    assert client.get(waiting)["status"] == "queued"
