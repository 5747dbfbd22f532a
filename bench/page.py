"""What a page pays for the element, and how long a tap takes to become a picture.

`python -m bench.page` drives the system's Chromium over local files. Bytes are exact; times are
compared with a plain `<video src=…mp4>` in the same browser, each load with an empty cache.
"""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Page, Request

from pipeline.media.tools import locate_tools
from stack.demo import CLIP
from tests.browser.camera import Camera, open_camera
from tests.browser.conftest import MISSING, PHONE
from tests.browser.fake_api import TOKEN, FakeApi, asset, card, running_fake_api
from tests.browser.site import Site, video

RUNS = 7
BUDGET_BYTES = 12 * 1024
FEED = 20
REST_MS = 1000
STREAM = "/api/video-assets/stream"
KNOWN = """() => [...document.querySelectorAll("khronika-video")].every(
  (element) => !["loading", undefined].includes(element.dataset.state))"""
HLS = (
    *("-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "copy"),
    *("-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4"),
)
PLAIN = (
    '<!doctype html><title>Plain</title><video src="/media/video.mp4" preload="none"></video>'
    "<button onclick=\"document.querySelector('video').play()\">Play</button>"
)
WATCH = """
document.addEventListener("click", () => {
  const began = performance.now();
  const watch = () => {
    const root = document.querySelector("khronika-video")?.shadowRoot ?? document;
    const video = root.querySelector("video");
    if (!video) return requestAnimationFrame(watch);
    video.requestVideoFrameCallback(() => { window.tookMs = performance.now() - began; });
  };
  watch();
}, { capture: true, once: true });
"""


@dataclass(frozen=True)
class Weight:
    """What was loaded: how many answers, and their bytes as sent and as they are.

    Attributes:
        modules: Those of ``gzip`` that are the element's own, without the cards.
    """

    requests: int
    gzip: int
    modules: int
    raw: int


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="khronika-bench-") as folder,
        running_fake_api(Path(folder) / "media") as api,
        open_camera() as camera,
    ):
        if camera is None:
            sys.exit(f"bench.page: {MISSING}")
        make_outputs(api.media)
        print(weights(camera, api))
        print()
        print(times(camera, api))


def make_outputs(media: Path) -> None:
    """One rendition as playlist and segments, and the same as a file."""
    ffmpeg = [locate_tools(environ).ffmpeg, "-v", "error", "-i", str(CLIP)]
    copied = ("-c", "copy", "-movflags", "+faststart")
    subprocess.run([*ffmpeg, *HLS, str(media / "video.m3u8")], check=True)
    subprocess.run([*ffmpeg, *copied, str(media / "video.mp4")], check=True)


def put(api: FakeApi, *names: str, hls: bool = True, lang: str = "en") -> str:
    """Publish a video of each name; gives the address of a feed that shows them."""
    urls: dict[str, Any] = {"fallback_url": f"{api.url}/media/video.mp4"}
    if hls:
        urls["manifest_url"] = f"{api.url}/media/video.m3u8"
    api.put(*(card(name, playable=True, width=1280, height=720, **urls) for name in names))
    return Site(api).show(*map(video, names), lang=lang)


def put_at_work(api: FakeApi, *, lang: str = "en", is_owners: bool = False) -> str:
    """Let a video be encoded; gives the address of a page that follows it live."""
    at_work: dict[str, Any] = {"step": "encoding", "progress": 10.0}
    api.put(card("work", "processing", **at_work), asset("work", "processing", **at_work))
    owner: dict[str, Any] = {"owner": True, "token": TOKEN} if is_owners else {}
    return Site(api).show(video("work", **owner), lang=lang)


def weights(camera: Camera, api: FakeApi) -> str:
    feed = [f"post {number}" for number in range(FEED)]
    budgeted = {
        "before a tap, 1 card": loaded(camera, put(api, "one")),
        "before a tap, in Georgian": loaded(camera, put(api, "one", lang="ka")),
        "a video at work, followed live": loaded(camera, put_at_work(api)),
        "followed live, in Georgian": loaded(camera, put_at_work(api, lang="ka")),
    }
    others = {
        "a video at work, for its owner": loaded(camera, put_at_work(api, is_owners=True)),
        f"before a tap, {FEED} cards": loaded(camera, put(api, *feed)),
        "with the first tap, HLS": played(camera, put(api, "one")),
    }
    lines = [
        "| loaded, without media | requests | bytes, gzip | modules alone | bytes, raw | target |",
        "|---|---|---|---|---|---|",
    ]
    for name, weight in (budgeted | others).items():
        verdict = "met" if weight.modules < BUDGET_BYTES else "MISSED"
        target = f"modules < {BUDGET_BYTES:,}: {verdict}" if name in budgeted else ""
        figures = f"{weight.gzip:,} | {weight.modules:,} | {weight.raw:,}"
        lines.append(f"| {name} | {weight.requests} | {figures} | {target} |")
    return "\n".join(lines)


def loaded(camera: Camera, url: str) -> Weight:
    """What the element asks for until the page rests."""
    with asking(camera) as (page, asked):
        page.goto(url)
        rest(page)
        return weigh(asked)


def played(camera: Camera, url: str) -> Weight:
    """What the element asks for from the tap on."""
    with asking(camera) as (page, asked):
        page.goto(url)
        page.wait_for_load_state("networkidle")
        before = len(asked)
        to_first_frame(page, ".play", "hls.js")
        return weigh(asked[before:])


def rest(page: Page) -> None:
    """Wait until the videos are known and nothing more is asked for; a stream never ends."""
    page.wait_for_function(KNOWN)
    page.wait_for_timeout(REST_MS)


@contextmanager
def asking(camera: Camera) -> Iterator[tuple[Page, list[str]]]:
    """A page, and the addresses of the element that it asks for."""
    asked: list[str] = []
    with camera.page(PHONE) as page:
        page.add_init_script(WATCH)
        page.on("request", lambda request: _note(asked, request))
        yield page, asked


def _note(asked: list[str], request: Request) -> None:
    if request.method == "GET":
        asked.append(request.url)


def weigh(asked: Sequence[str]) -> Weight:
    """Fetch all of it but media, the site's own and the endless stream again, packed and plain."""
    modules = [url for url in asked if "/web/" in url]
    ours = [*modules, *(url for url in asked if "/api/" in url and STREAM not in url)]
    gzip, alone = (sum(map(packed, urls)) for urls in (ours, modules))
    return Weight(len(ours), gzip, alone, sum(map(plain, ours)))


def packed(url: str) -> int:
    return _length(url, "gzip")


def plain(url: str) -> int:
    return _length(url, "identity")


def _length(url: str, encoding: str) -> int:
    headers = {"Accept-Encoding": encoding, "Authorization": f"Bearer {TOKEN}"}
    answer = requests.get(url, headers=headers, timeout=10)
    answer.raise_for_status()
    return int(answer.headers["Content-Length"])


def times(camera: Camera, api: FakeApi) -> str:
    """The ways alternate, so that what else the machine does meets all of them."""
    ways: dict[str, Callable[[], float]] = {
        "plain `<video src=…mp4>`": lambda: timed(camera, plain_page(api), "button"),
        "the element, MP4": lambda: timed(camera, put(api, "one", hls=False), ".play", "file"),
        "the element, HLS": lambda: timed(camera, put(api, "one"), ".play", "hls.js"),
    }
    took: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(RUNS + 1):
        for way, measure in ways.items():
            ms = measure()
            if number:  # the first one warms up
                took[way].append(ms)
    baseline = statistics.median(took[next(iter(ways))])
    lines = [
        "| tap to first frame | ms, median | least | most | ÷ plain |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {way} | {statistics.median(ms):.0f} | {min(ms):.0f} | {max(ms):.0f} "
        f"| {statistics.median(ms) / baseline:.2f} |"
        for way, ms in took.items()
    ]
    return "\n".join(lines)


def plain_page(api: FakeApi) -> str:
    api.site_page, api.site_policy = PLAIN, ""
    return f"{api.url}/site"


def timed(camera: Camera, url: str, button: str, engine: str | None = None) -> float:
    """Milliseconds from the tap to the first frame, with an empty cache."""
    with asking(camera) as (page, _):
        page.goto(url)
        page.wait_for_load_state("networkidle")
        return to_first_frame(page, button, engine)


def to_first_frame(page: Page, button: str, engine: str | None) -> float:
    """Milliseconds from the tap to the first frame, which the engine named has to have shown."""
    page.locator(button).click()
    page.wait_for_function("() => window.tookMs > 0")
    used = page.evaluate("document.querySelector('khronika-video')?.engine ?? null")
    if used != engine:
        sys.exit(f"bench.page: {engine} was to be measured, but {used} played")
    return float(page.evaluate("window.tookMs"))


if __name__ == "__main__":
    main()
