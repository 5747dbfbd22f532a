"""Playback through stable addresses, which redirect to a vendor on another origin."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Request, expect

from tests.browser.conftest import Opened, Pages
from tests.browser.fake_api import FakeApi, card, running_fake_api
from tests.browser.site import Site, video
from tests.browser.test_playback import expect_playing, outputs, play, tools

__all__ = ["outputs", "tools"]

FILES = {
    "manifest_url": "video.m3u8",
    "fallback_url": "video.mp4",
    "poster_url": "poster.jpg",
    "storyboard_url": "story.vtt",
}

STREAM = ("manifest_url", "video.m3u8", "init.mp4", "video0.m4s")
"""The requests up to the first frame of a stream: the stable address, and the vendor's files."""


@pytest.fixture
def vendor(tmp_path: Path, outputs: Path, open_page: Pages) -> Iterator[FakeApi]:
    with running_fake_api(tmp_path / "vendor") as server:
        for file in outputs.iterdir():
            (server.media / file.name).symlink_to(file)
        yield server
        open_page.close()


def show(api: FakeApi, vendor: FakeApi, *, stable: bool, without: str = "") -> str:
    """Show a video of the vendor, at its own addresses or at stable ones that redirect."""
    urls = {field: f"{vendor.url}/media/{name}" for field, name in FILES.items()}
    if stable:
        for field, url in urls.items():
            api.redirects[f"videos/one/{field}"] = url
        urls = {field: f"{api.url}/media/videos/one/{field}" for field in urls}
    urls.pop(without, None)
    api.put(card("one", playable=True, width=1280, height=720, **urls))
    return Site(api, vendor.url).show(video("one"))


def fetched(opened: Opened) -> list[str]:
    """Collect the names of the media that the page asks for from now on."""
    names: list[str] = []

    def note(request: Request) -> None:
        if "/media/" in request.url:
            names.append(request.url.rpartition("/")[2])

    opened.page.on("request", note)
    return names


def test_a_redirect_costs_one_request_before_the_first_frame(
    open_page: Pages, fake_api: FakeApi, vendor: FakeApi
) -> None:
    asked: dict[bool, list[str]] = {}
    for stable in (False, True):
        opened = open_page(show(fake_api, vendor, stable=stable))
        names = fetched(opened)
        play(opened)
        expect_playing(opened, "hls.js", after=0)
        streamed = [name for name in names if name in STREAM]
        asked[stable] = streamed[: streamed.index("video0.m4s") + 1]

    assert asked[True] == ["manifest_url", *asked[False]]
    assert asked[False] == ["video.m3u8", "init.mp4", "video0.m4s"]


def test_segments_pictures_and_previews_come_from_beside_the_file_that_was_redirected(
    open_page: Pages, fake_api: FakeApi, vendor: FakeApi
) -> None:
    opened = open_page(show(fake_api, vendor, stable=True))
    poster = opened.page.locator("khronika-video .poster")
    expect(poster).to_have_js_property("naturalWidth", 1280)
    element = play(opened)
    expect_playing(opened, "hls.js")
    expect(element.locator(".preview")).to_be_attached()
    with opened.page.expect_response(f"{vendor.url}/media/sprite.jpg") as sprite:
        box = element.locator("video").bounding_box()
        assert box is not None
        opened.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 10)
    assert sprite.value.ok
    assert vendor.asked["GET /media/init.mp4"] == 1
    assert fake_api.asked["GET /media/init.mp4"] == 0


def test_the_file_seeks_behind_a_redirect(
    open_page: Pages, fake_api: FakeApi, vendor: FakeApi
) -> None:
    opened = open_page(show(fake_api, vendor, stable=True, without="manifest_url"))
    element = play(opened)
    expect_playing(opened, "file")
    element.locator("video").evaluate("(video) => { video.currentTime = 4; }")
    expect_playing(opened, "file", after=4.1)
