"""Pictures of the element in every state, with an API that answers accordingly."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from os import environ
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page

from pipeline.media.tools import locate_tools
from stack.demo import CLIP
from tests.browser.camera import Camera, picture_of
from tests.browser.conftest import DESKTOP, PHONE
from tests.browser.fake_api import FakeApi, card, later, post_id, running_fake_api
from tests.browser.site import Site, video
from tests.browser.test_states import CASES, elements, fill

DARK = ("queued", "encoding", "ready", "failed-retryable")
SPOKEN = """() => [...document.querySelectorAll("khronika-video")].every(
    (element) => element.shadowRoot.querySelector(".dismiss").ariaLabel)"""
"""True when the words have loaded: those for owners come after the state."""
RETRY_IN_SEC = 240
POSTER_AT = "3"
"""Seconds into the sample clip."""


def take(camera: Camera, folder: Path) -> None:
    """Take one picture of each state on a phone, and one of all states on a desktop."""
    with TemporaryDirectory(prefix="khronika-screenshots-") as scratch, _api(Path(scratch)) as api:
        site = Site(api)
        _take_loading(camera, folder, site)
        for who in ("owner", "visitor"):
            url = site.show(*elements(is_owner=who == "owner"))
            for scheme in ("light", "dark"):
                with camera.page(DESKTOP, scheme) as page:
                    _open(page, url)
                    _write(folder / f"element-desktop-{who}-{scheme}.webp", page)
                with camera.page(PHONE, scheme) as page:
                    _open(page, url)
                    for name in CASES if scheme == "light" else DARK:
                        suffix = "" if scheme == "light" else "-dark"
                        _write(folder / f"element-{name}-{who}{suffix}.webp", page, f"#{name}")
        _take_playing(camera, folder, site)


@contextmanager
def _api(scratch: Path) -> Iterator[FakeApi]:
    with running_fake_api(scratch / "media") as api:
        poster = api.media / "poster.jpg"
        ffmpeg = locate_tools(environ).ffmpeg
        frame = ("-ss", POSTER_AT, "-i", str(CLIP), "-frames:v", "1", "-vf", "scale=640:-2")
        subprocess.run([ffmpeg, "-v", "error", *frame, str(poster)], check=True)
        (api.media / "video.mp4").symlink_to(CLIP)
        fill(api)
        for document in (*api.cards.values(), *api.assets.values()):
            if document["playable"] and document["width"] > document["height"]:
                document["poster_url"] = f"{api.url}/media/poster.jpg"
        api.assets[post_id("retrying")]["next_attempt_at"] = later(RETRY_IN_SEC)
        yield api


def _take_loading(camera: Camera, folder: Path, site: Site) -> None:
    site.api.refusal = (503, {"Retry-After": "60"})
    with camera.page(PHONE) as page:
        page.goto(site.show(video("loading")))
        page.locator("#loading[data-state=loading]").wait_for()
        _write(folder / "element-loading-visitor.webp", page, "#loading")
    site.api.refusal = None


def _take_playing(camera: Camera, folder: Path, site: Site) -> None:
    address = f"{site.api.url}/media/"
    pictured = {"fallback_url": f"{address}video.mp4", "poster_url": f"{address}poster.jpg"}
    site.api.put(card("playing", playable=True, width=1280, height=720, **pictured))
    with camera.page(PHONE) as page:
        page.goto(site.show(video("playing")))
        page.locator("#playing .play").click()
        page.wait_for_function(
            "() => document.querySelector('#playing').shadowRoot"
            ".querySelector('video')?.currentTime > 1"
        )
        _write(folder / "element-playing-visitor.webp", page, "#playing")


def _open(page: Page, url: str) -> None:
    page.goto(url)
    for name, case in CASES.items():
        page.locator(f"#{name}[data-state={case.state}]").wait_for()
    page.wait_for_function(SPOKEN)
    page.wait_for_load_state("load")


def _write(path: Path, page: Page, selector: str | None = None) -> None:
    path.write_bytes(picture_of(page, selector))
