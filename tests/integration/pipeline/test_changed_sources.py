"""A source that changes: nothing but what was verified is processed, and nothing is lost."""

import os
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

import pytest

from pipeline.domain.states import Status
from pipeline.lifecycle.submit import submit
from pipeline.media.tools import locate_tools
from tests.integration.pipeline.conftest import CLIP, World, with_changed
from tests.integration.pipeline.steps import reencode, report, retry
from tests.integration.pipeline.test_quotas import usage


class Stranger(ThreadingHTTPServer):
    """A server of one file, whose content and ETag change as a test says."""

    def __init__(self) -> None:
        self.body, self.etag = CLIP.read_bytes(), '"v1"'
        super().__init__(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/video.mp4"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stranger = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                if stranger.etag:
                    self.send_header("ETag", stranger.etag)
                self.send_header("Content-Length", str(len(stranger.body)))
                self.end_headers()
                self.wfile.write(stranger.body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    server = Stranger()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def longer_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Twice the clip."""
    path: Path = tmp_path_factory.mktemp("longer") / "longer.mp4"
    ffmpeg = locate_tools(os.environ).ffmpeg
    twice = ["-v", "error", "-stream_loop", "1", "-i", str(CLIP), "-c", "copy"]
    subprocess.run([ffmpeg, *twice, str(path)], check=True)
    return path.read_bytes()


def registered(world: World, stranger: Stranger) -> UUID:
    """A video at the stranger's address."""
    asset_id = world.create()
    world.execute_past_triggers(
        "UPDATE video_assets SET source_url = :url WHERE id = :id", url=stranger.url, id=asset_id
    )
    return asset_id


def replace_source(stranger: Stranger, longer_clip: bytes, change: str) -> None:
    if change == "size":
        stranger.body = longer_clip
    else:
        stranger.etag = '"v2"'


def test_the_provider_is_told_the_size_and_the_etag_that_were_measured(
    world: World, stranger: Stranger
) -> None:
    asset_id = registered(world, stranger)

    submit(world.services, asset_id)

    spec = world.provider.jobs[world.attempt_id(asset_id)]["spec"]
    assert (spec["source_url"], spec["source_size_bytes"], spec["source_etag"]) == (
        stranger.url,
        len(stranger.body),
        '"v1"',
    )


@pytest.mark.parametrize(
    ("etag", "change"),
    [('"v1"', "etag"), ('"v1"', "size"), ("", "size")],
    ids=["another ETag", "another size", "another size, without an ETag"],
)
def test_a_source_that_changed_before_the_next_attempt_is_not_submitted(
    world: World, stranger: Stranger, longer_clip: bytes, change: str, etag: str
) -> None:
    stranger.etag = etag
    asset_id = registered(world, stranger)
    submit(world.services, asset_id)
    report(world, world.provider.fail(world.attempt_id(asset_id), "encode_failed", retryable=True))
    replace_source(stranger, longer_clip, change)
    world.make_past(asset_id, "next_attempt_at")

    assert submit(world.services, asset_id).result == "failed"

    asset = world.asset(asset_id)
    assert (asset.status, asset.error_code) == (Status.FAILED, "source_changed")
    assert len(world.provider.puts) == 1


def test_a_change_that_the_provider_finds_is_told_to_the_owner_and_may_be_retried(
    world: World, stranger: Stranger, longer_clip: bytes
) -> None:
    asset_id = registered(world, stranger)
    submit(world.services, asset_id)
    report(
        world, world.provider.fail(world.attempt_id(asset_id), "source_changed", retryable=False)
    )
    asset = world.asset(asset_id)
    assert (asset.status, asset.error_code) == (Status.FAILED, "source_changed")
    assert asset.error_message == (
        "The video at this address changed while it was being processed. "
        "Try again when the file no longer changes."
    )
    stranger.body, stranger.etag = longer_clip, '"v2"'

    retry(world, asset_id)

    assert submit(world.services, asset_id).result == "submitted"
    spec = world.provider.jobs[world.attempt_id(asset_id)]["spec"]
    assert (spec["source_size_bytes"], spec["source_etag"]) == (len(longer_clip), '"v2"')


def test_a_retry_after_another_failure_is_of_the_same_file(
    world: World, stranger: Stranger
) -> None:
    asset_id = registered(world, stranger)
    submit(world.services, asset_id)
    report(world, world.provider.fail(world.attempt_id(asset_id), "encode_failed", retryable=False))
    stranger.etag = '"v2"'

    retry(world, asset_id)

    assert submit(world.services, asset_id).result == "failed"
    assert world.asset(asset_id).error_code == "source_changed"


def test_what_is_published_stays_published_when_the_source_has_changed(
    world: World, stranger: Stranger
) -> None:
    asset_id = registered(world, stranger)
    submit(world.services, asset_id)
    report(world, world.provider.finish(world.attempt_id(asset_id)))
    published = world.asset(asset_id).published_output_id
    assert published is not None
    reencode(world, asset_id)
    stranger.etag = '"v2"'

    assert submit(world.services, asset_id).result == "failed"

    asset = world.asset(asset_id)
    assert (asset.error_code, asset.published_output_id) == ("source_changed", published)
    assert asset.manifest_url is not None


def test_another_file_in_its_place_is_charged_with_what_it_is_more(
    world: World, stranger: Stranger, longer_clip: bytes
) -> None:
    asset_id = registered(world, stranger)
    submit(world.services, asset_id)
    before = usage(world)
    report(
        world, world.provider.fail(world.attempt_id(asset_id), "source_changed", retryable=False)
    )
    stranger.body, stranger.etag = longer_clip, '"v2"'
    retry(world, asset_id)
    within = with_changed(world.services, "owner_limits", daily_bytes=before[1] + 1)
    assert submit(within, asset_id).result == "failed"
    assert world.asset(asset_id).error_code == "quota_exceeded"
    assert usage(world) == before

    retry(world, asset_id)

    assert submit(world.services, asset_id).result == "submitted"
    assert usage(world)[1] == len(longer_clip)
