"""The source itself stands in for a video that failed: on all conditions, and on no fewer."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests

from pipeline.domain.states import Status
from pipeline.media.probe import probe
from pipeline.media.tools import Tools
from tests.integration.api.conftest import OWNER, STRANGER, Client, World, serving

KEY = "original/ana/holiday.mp4"
BESIDE = "original/ana/diary.mp4"


@pytest.fixture
def facts(clip: Path, tools: Tools) -> dict[str, Any]:
    """What the worker measures of a clip that every browser plays."""
    return probe(clip, tools).to_json()


@pytest.fixture
def lenient(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """An API whose operator lets originals be played."""
    monkeypatch.setenv("KHRONIKA_ORIGINAL_PLAYBACK", "true")
    with serving(monkeypatch) as client:
        yield client


def fail(
    api: Client,
    world: World,
    facts: dict[str, Any] | None,
    *,
    code: str = "encode_failed",
    **body: Any,
) -> str:
    """A post whose video failed; the source lies in our storage unless the body says otherwise."""
    body = {"source_url": f"storage:{KEY}", "allow_original": True, **body}
    asset = api.create(UUID(body.pop("post_id", str(uuid4()))), **body).json()
    world.move(asset["id"], Status.PROCESSING, source_info=facts)
    world.fail(asset["id"], code)
    post_id: str = asset["post_id"]
    return post_id


def card(api: Client, post_id: str, as_: str | None = None) -> dict[str, Any]:
    shown: dict[str, Any] = api.get(f"/api/video-assets/{post_id}/playback", as_=as_).json()
    return shown


def assert_nothing_stands_in(shown: Mapping[str, Any]) -> None:
    assert (shown["status"], shown["source"]) == ("failed", "none")
    assert shown["fallback_url"] is None
    assert shown["urls_expire_at"] is None


def test_all_conditions_met_the_original_plays_and_seeks(
    lenient: Client, world: World, facts: dict[str, Any], clip: Path
) -> None:
    content = clip.read_bytes()
    for key in (KEY, BESIDE):
        lenient.services.storage.write(key, [content])
    shown = card(lenient, fail(lenient, world, facts))
    assert (shown["source"], shown["playable"]) == ("original", False)
    assert (shown["manifest_url"], shown["poster_url"]) == (None, None)
    assert shown["urls_expire_at"] is not None
    url = shown["fallback_url"]
    assert "/media/public/" not in url
    part = requests.get(url, headers={"Range": "bytes=100-199"}, timeout=60)
    assert (part.status_code, part.content) == (206, content[100:200])
    beside = requests.get(url.replace("holiday", "diary"), timeout=60)
    assert beside.status_code == 403


def test_an_uploaded_original_stands_in_too(
    lenient: Client, world: World, facts: dict[str, Any], clip: Path
) -> None:
    content, post_id = clip.read_bytes(), str(uuid4())
    wanted = {"post_id": post_id, "filename": "a.mp4", "mime_type": "video/mp4"}
    issued = lenient.post("/api/uploads", wanted | {"size_bytes": len(content)}).json()
    requests.put(issued["url"], data=content, headers=issued["headers"], timeout=60)
    assert lenient.post(f"/api/uploads/{issued['upload_id']}/complete").status_code == 200
    fail(lenient, world, facts, post_id=post_id, upload_id=issued["upload_id"], source_url=None)
    shown = card(lenient, post_id)
    assert shown["source"] == "original"
    assert requests.get(shown["fallback_url"], timeout=60).content == content


@pytest.mark.parametrize(
    "missing",
    [
        {"allow_original": False},
        {"source_url": "https://videos.example/holiday.mp4"},
        {"code": "source_corrupt"},
    ],
    ids=["the owner's leave", "our own storage", "a source without fault"],
)
def test_no_original_stands_in_without(
    lenient: Client, world: World, facts: dict[str, Any], missing: dict[str, Any]
) -> None:
    assert_nothing_stands_in(card(lenient, fail(lenient, world, facts, **missing)))


@pytest.mark.parametrize(
    "measured",
    [
        {"container": "mov"},
        {"video_codec": "hevc"},
        {"pixel_format": "yuv420p10le"},
        {"audio_codec": "ac3"},
    ],
)
def test_no_original_stands_in_that_browsers_do_not_play(
    lenient: Client, world: World, facts: dict[str, Any], measured: dict[str, Any]
) -> None:
    assert_nothing_stands_in(card(lenient, fail(lenient, world, facts | measured)))


def test_no_original_stands_in_that_was_never_verified(lenient: Client, world: World) -> None:
    assert_nothing_stands_in(card(lenient, fail(lenient, world, None)))


def test_no_original_stands_in_where_the_operator_has_not_said_so(
    api: Client, world: World, facts: dict[str, Any]
) -> None:
    assert_nothing_stands_in(card(api, fail(api, world, facts)))


@pytest.mark.parametrize("status", [Status.QUEUED, Status.PROCESSING, Status.RETRYING])
def test_no_original_stands_in_for_a_video_that_may_still_come(
    lenient: Client, world: World, facts: dict[str, Any], status: Status
) -> None:
    asset = lenient.create(source_url=f"storage:{KEY}", allow_original=True).json()
    if status is not Status.QUEUED:
        world.move(asset["id"], Status.PROCESSING, source_info=facts)
    else:
        world.amend(asset["id"], source_info=facts)
    if status is Status.RETRYING:
        world.move(asset["id"], status)
    shown = card(lenient, asset["post_id"])
    assert (shown["status"], shown["source"], shown["fallback_url"]) == (status, "none", None)


def test_what_is_published_goes_before_the_original(
    lenient: Client, world: World, facts: dict[str, Any]
) -> None:
    asset = lenient.create(source_url=f"storage:{KEY}", allow_original=True).json()
    world.complete(asset["id"])
    world.move(asset["id"], Status.QUEUED, generation=2, source_info=facts)
    world.fail(asset["id"], "encode_failed")
    shown = card(lenient, asset["post_id"])
    assert (shown["status"], shown["source"], shown["playable"]) == ("failed", "processed", True)
    assert shown["fallback_url"].endswith(f"/media/videos/{asset['id']}/video.mp4")


def test_the_original_of_a_deleted_video_is_gone(
    lenient: Client, world: World, facts: dict[str, Any]
) -> None:
    post_id = fail(lenient, world, facts)
    assert lenient.call("DELETE", f"/api/video-assets/{post_id}").status_code == 202
    answer = lenient.get(f"/api/video-assets/{post_id}/playback", as_=None)
    assert answer.status_code == 404


def test_a_signed_videos_original_is_for_those_with_a_right(
    lenient: Client, world: World, facts: dict[str, Any]
) -> None:
    post_id = fail(lenient, world, facts, playback="signed")
    assert card(lenient, post_id, OWNER)["source"] == "original"
    for as_ in (STRANGER, None):
        assert card(lenient, post_id, as_)["code"] == "post_not_found"
