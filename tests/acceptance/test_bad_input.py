"""What becomes of sources that are no video, through the whole stack.

Requests that are refused in the request itself are tested against the API in
``tests/integration/api``.
"""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from cli.api_requests import ApiProblem
from pipeline.domain.failures import FAILURES
from tests import clips
from tests.acceptance.conftest import MAX_BYTES, MAX_DURATION_SEC
from tests.acceptance.stage import Stage, Video
from tests.clips import Kind


@pytest.fixture(scope="module")
def refused(stage: Stage) -> Mapping[Kind, Video]:
    """One asset for every kind of file that is no video, all registered at once."""
    return {
        kind: stage.register(
            stage.sources.offer(kind(stage.folder, stage.tools)).url, title=kind.__name__
        )
        for kind in clips.REFUSED
    }


@pytest.mark.parametrize("kind", clips.REFUSED, ids=lambda kind: kind.__name__)
def test_what_is_no_video_fails_with_a_code_a_sentence_and_a_next_step(
    stage: Stage, refused: Mapping[Kind, Video], kind: Kind
) -> None:
    explain_failure(stage, refused[kind], clips.REFUSED[kind])

    [attempt] = stage.books.attempts(refused[kind].asset_id)
    assert (attempt.outcome, attempt.submitted_at) == ("source_refused", None)


def test_a_source_that_vanished_fails_and_says_so(stage: Stage) -> None:
    source = stage.sources.offer(clips.widescreen(stage.folder, stage.tools), always=404)

    explain_failure(stage, stage.register(source.url, title="gone"), "source_unreachable")


def test_a_remote_source_over_the_size_limit_fails_and_says_so(stage: Stage) -> None:
    source = stage.sources.offer(padded(stage, MAX_BYTES + 1))

    explain_failure(stage, stage.register(source.url, title="large"), "source_too_large")
    assert all(one.range for one in source.log)  # nobody downloaded it


def test_a_remote_source_over_the_duration_limit_fails_and_says_so(stage: Stage) -> None:
    source = stage.sources.offer(over_long(stage))

    explain_failure(stage, stage.register(source.url, title="long"), "source_too_long")


@pytest.mark.parametrize(
    ("over", "status", "code"),
    [("size", 413, "source_too_large"), ("duration", 422, "source_too_long")],
)
def test_an_upload_over_a_limit_is_refused_before_anything_is_queued(
    stage: Stage, over: str, status: int, code: str
) -> None:
    clip = padded(stage, MAX_BYTES + 1) if over == "size" else over_long(stage)
    post_id = uuid4()

    with stage.client() as client, pytest.raises(ApiProblem) as refused:
        client.upload(post_id, clip)

    assert (refused.value.status, refused.value.code) == (status, code)
    assert stage.ask("GET", f"/api/video-assets/{post_id}").status == 404


def padded(stage: Stage, size_bytes: int) -> Path:
    """A sound video with zeros behind it, up to this size."""
    clip = stage.folder / "padded.mp4"
    clip.write_bytes(
        clips.widescreen(stage.folder, stage.tools).read_bytes().ljust(size_bytes, b"\0")
    )
    return clip


def over_long(stage: Stage) -> Path:
    """A video of one frame a second, a second over the limit."""
    clip = stage.folder / "over_long.mp4"
    picture = f"testsrc2=size=160x90:rate=1:duration={MAX_DURATION_SEC + 1}"
    command = [stage.tools.ffmpeg, "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", picture]
    command += ["-c:v", "libx264", "-preset", "ultrafast", str(clip)]
    subprocess.run(command, check=True, timeout=240)
    return clip


def test_a_playlist_that_points_at_local_files_reads_none(
    stage: Stage, refused: Mapping[Kind, Video]
) -> None:
    stage.await_end(refused[clips.local_file_playlist])

    asset = stage.books.asset(refused[clips.local_file_playlist].asset_id)
    assert asset.source_info is None
    assert "root:" not in str(stage.events(refused[clips.local_file_playlist]))


def explain_failure(stage: Stage, video: Video, code: str) -> None:
    """Hold a failed asset and its chronicle to what law 13 promises of every failure."""
    asset, failure = stage.await_end(video), FAILURES[code]
    assert (asset["status"], asset["error_code"]) == ("failed", code)
    assert asset["error_message"] == f"{failure.sentence} {failure.next_step}"
    assert (asset["retryable"], asset["playable"]) == (failure.retryable, False)
    assert asset["manifest_url"] is None
    last = stage.events(video)[-1]
    assert (last["type"], last["to_status"], last["detail"]["code"]) == ("failed", "failed", code)
