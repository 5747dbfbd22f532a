"""What a remote source can do to us, and what its owner is told."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.content.source import Source, SourceRefused, measure
from pipeline.domain.states import Status
from pipeline.lifecycle.submit import submit
from pipeline.storage.s3 import S3Storage
from pipeline.storage.urls import Credentials, S3Place
from tests.integration.pipeline.conftest import CLIP, World

THEIRS = "original/boris/a/b/source.mp4"


@pytest.fixture(scope="session")
def bad_sources(outputs_folder: Path) -> Path:
    """Files that are no video, beside the good one."""
    clip = CLIP.read_bytes()
    files = {
        "page.mp4": b"<!doctype html><html><body>not a video</body></html>",
        "truncated.mp4": clip[: len(clip) // 2],
        "empty.mp4": b"",
        "picture.mp4": (outputs_folder / "poster.jpg").read_bytes(),
        "playlist.mp4": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    }
    for name, content in files.items():
        (outputs_folder / name).write_bytes(content)
    return outputs_folder


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("page.mp4", "unsupported_media"),
        ("truncated.mp4", "source_corrupt"),
        ("empty.mp4", "source_empty"),
        ("picture.mp4", "unsupported_media"),
        ("playlist.mp4", "unsupported_media"),
    ],
)
def test_a_file_that_is_no_video_fails_with_its_code_and_is_never_submitted(
    world: World, bad_sources: Path, name: str, code: str
) -> None:
    asset_id = world.create(name)

    assert submit(world.services, asset_id).result == "failed"

    asset = world.asset(asset_id)
    assert (asset.status, asset.error_code) == (Status.FAILED, code)
    assert asset.error_message
    assert not world.provider.puts


def test_a_source_that_vanished_fails_and_one_that_may_return_is_retried(world: World) -> None:
    gone = world.create("nothing-here.mp4")

    assert submit(world.services, gone).result == "failed"
    assert world.asset(gone).error_code == "source_unreachable"


def test_a_source_that_hangs_is_retried(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asset_id = world.create()
        world.execute_past_triggers(
            "UPDATE video_assets SET source_url = :url WHERE id = :id",
            url=f"http://127.0.0.1:{silent.getsockname()[1]}/video.mp4",
            id=asset_id,
        )
        assert submit(world.services, asset_id).result == "retrying"

    assert world.asset(asset_id).error_code == "source_timeout"


@pytest.mark.parametrize(
    "named",
    [
        f"storage:{THEIRS}",
        "storage:original/ana-and-more/a/b/source.mp4",
        f"storage:original/ana/../boris/{THEIRS.partition('boris/')[2]}",
        "storage:protected/processed/a/b/fallback/video.mp4",
    ],
)
def test_a_key_outside_its_owners_folder_is_refused_for_good_though_the_api_let_it_in(
    world: World, named: str
) -> None:
    world.services.storage.write(THEIRS, [CLIP.read_bytes()])
    asset_id = world.create()
    world.execute_past_triggers("UPDATE video_assets SET source_url = :named", named=named)

    assert submit(world.services, asset_id).result == "failed"

    asset = world.asset(asset_id)
    assert (asset.error_code, asset.source_info) == ("url_refused", None)
    assert not world.provider.puts


def test_an_upload_that_lies_in_another_owners_folder_is_refused_for_good(world: World) -> None:
    world.services.storage.write(THEIRS, [CLIP.read_bytes()])
    asset_id = world.create()
    of_theirs = """
        WITH upload AS (
            INSERT INTO uploads (id, owner_id, post_id, filename, mime_type, size_bytes,
                storage_key, expires_at)
            SELECT id, owner_id, post_id, 'a.mp4', 'video/mp4', 1, :theirs, now()
            FROM video_assets RETURNING id)
        UPDATE video_assets SET source_url = NULL, upload_id = upload.id FROM upload
    """
    world.execute_past_triggers(of_theirs, theirs=THEIRS)

    assert submit(world.services, asset_id).result == "failed"

    assert world.asset(asset_id).error_code == "url_refused"
    assert not world.provider.puts


def test_the_measured_figures_win_over_the_declared_ones(world: World) -> None:
    asset_id = world.create(width=1920, height=1080, duration_sec=5.3)

    submit(world.services, asset_id)

    asset = world.asset(asset_id)
    assert (asset.width, asset.height) == (1280, 720)
    mismatch = [e for e in world.chronicle(asset_id) if e.type == "metadata_mismatch"]
    assert mismatch[0].detail == {
        "width": {"declared": 1920, "measured": 1280},
        "height": {"declared": 1080, "measured": 720},
    }


def test_a_storage_that_is_away_is_no_fault_of_the_source(world: World) -> None:
    away = S3Storage(S3Place("bucket", "", "http://127.0.0.1:9", None), Credentials("id", "secret"))
    services = replace(world.services, storage=away)

    with pytest.raises(SourceRefused) as refused:
        measure(services, Source("original/ana/a/b/source.mp4", None, "ana"), pinned=None)

    assert (refused.value.code, refused.value.transient) == ("storage_unavailable", True)
