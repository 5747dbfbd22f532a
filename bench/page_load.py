"""The bytes that a page loads for the element, and the time from a tap to the first frame.

`python -m bench.page_load` drives the system's Chromium over local files. Bytes are exact. Times
are compared with a plain `<video src=…mp4>` in the same browser; each load has an empty cache.
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

from bench.table import markdown_table, spread, verdict
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
    """The answers that a page loaded.

    Attributes:
        requests: Number of answers.
        gzip: Their bytes as sent.
        modules: The bytes in ``gzip`` that are the element's modules, without the cards.
        raw: Their bytes uncompressed.
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
            sys.exit(f"bench.page_load: {MISSING}")
        make_outputs(api.media)
        print(weight_table(camera, api))
        print()
        print(time_table(camera, api))


def make_outputs(media: Path) -> None:
    """Make one rendition as playlist and segments, and the same as one file."""
    ffmpeg = [locate_tools(environ).ffmpeg, "-v", "error", "-i", str(CLIP)]
    copied = ("-c", "copy", "-movflags", "+faststart")
    subprocess.run([*ffmpeg, *HLS, str(media / "video.m3u8")], check=True)
    subprocess.run([*ffmpeg, *copied, str(media / "video.mp4")], check=True)


def show_cards(api: FakeApi, *names: str, hls: bool = True, lang: str = "en") -> str:
    """Publish a video of each name; return the URL of a feed that shows them."""
    urls: dict[str, Any] = {"fallback_url": f"{api.url}/media/video.mp4"}
    if hls:
        urls["manifest_url"] = f"{api.url}/media/video.m3u8"
    api.put(*(card(name, playable=True, width=1280, height=720, **urls) for name in names))
    return Site(api).show(*map(video, names), lang=lang)


def show_encoding(api: FakeApi, *, lang: str = "en", owner: bool = False) -> str:
    """Register a video that is being encoded; return the URL of a page that follows it live."""
    at_work: dict[str, Any] = {"step": "encoding", "progress": 10.0}
    api.put(card("work", "processing", **at_work), asset("work", "processing", **at_work))
    viewer: dict[str, Any] = {"owner": True, "token": TOKEN} if owner else {}
    return Site(api).show(video("work", **viewer), lang=lang)


def weight_table(camera: Camera, api: FakeApi) -> str:
    feed = [f"post {number}" for number in range(FEED)]
    budgeted = {
        "before a tap, 1 card": weigh_load(camera, show_cards(api, "one")),
        "before a tap, in Georgian": weigh_load(camera, show_cards(api, "one", lang="ka")),
        "a video in progress, followed live": weigh_load(camera, show_encoding(api)),
        "followed live, in Georgian": weigh_load(camera, show_encoding(api, lang="ka")),
    }
    others = {
        "a video in progress, for its owner": weigh_load(camera, show_encoding(api, owner=True)),
        f"before a tap, {FEED} cards": weigh_load(camera, show_cards(api, *feed)),
        "with the first tap, HLS": weigh_tap(camera, show_cards(api, "one")),
    }
    rows = []
    for name, weight in (budgeted | others).items():
        met = weight.modules < BUDGET_BYTES
        target = f"modules < {BUDGET_BYTES:,}: {verdict(met=met)}" if name in budgeted else ""
        figures = (f"{bytes_:,}" for bytes_ in (weight.gzip, weight.modules, weight.raw))
        rows.append((name, weight.requests, *figures, target))
    heads = ("loaded, without media", "requests", "bytes, gzip", "modules alone", "bytes, raw")
    return markdown_table((*heads, "target"), rows)


def weigh_load(camera: Camera, url: str) -> Weight:
    """Weigh the element's requests from the start until the page rests."""
    with recorded_page(camera) as (page, urls):
        page.goto(url)
        await_rest(page)
        return weigh(urls)


def weigh_tap(camera: Camera, url: str) -> Weight:
    """Weigh the element's requests after the tap."""
    with recorded_page(camera) as (page, urls):
        page.goto(url)
        page.wait_for_load_state("networkidle")
        before = len(urls)
        tap_to_first_frame(page, ".play", "hls.js")
        return weigh(urls[before:])


def await_rest(page: Page) -> None:
    """Wait until the page knows its videos and requests nothing more; a stream never ends."""
    page.wait_for_function(KNOWN)
    page.wait_for_timeout(REST_MS)


@contextmanager
def recorded_page(camera: Camera) -> Iterator[tuple[Page, list[str]]]:
    """Open a page, and record the URLs that it requests."""
    urls: list[str] = []
    with camera.page(PHONE) as page:
        page.add_init_script(WATCH)
        page.on("request", lambda request: _record(urls, request))
        yield page, urls


def _record(urls: list[str], request: Request) -> None:
    if request.method == "GET":
        urls.append(request.url)


def weigh(urls: Sequence[str]) -> Weight:
    """Fetch the element's URLs again, compressed and not.

    Media, the files of the site itself and the endless stream are left out.
    """
    modules = [url for url in urls if "/web/" in url]
    ours = [*modules, *(url for url in urls if "/api/" in url and STREAM not in url)]
    gzip, alone = (sum(_length(url, "gzip") for url in each) for each in (ours, modules))
    return Weight(len(ours), gzip, alone, sum(_length(url, "identity") for url in ours))


def _length(url: str, encoding: str) -> int:
    headers = {"Accept-Encoding": encoding, "Authorization": f"Bearer {TOKEN}"}
    answer = requests.get(url, headers=headers, timeout=10)
    answer.raise_for_status()
    return int(answer.headers["Content-Length"])


def time_table(camera: Camera, api: FakeApi) -> str:
    """Measure the players in turn, so that other load on the machine slows all of them."""
    players: dict[str, Callable[[], float]] = {
        "plain `<video src=…mp4>`": lambda: measure_tap(camera, show_plain_video(api), "button"),
        "the element, MP4": lambda: measure_tap(
            camera, show_cards(api, "one", hls=False), ".play", "file"
        ),
        "the element, HLS": lambda: measure_tap(camera, show_cards(api, "one"), ".play", "hls.js"),
    }
    took: dict[str, list[float]] = {player: [] for player in players}
    for number in range(RUNS + 1):
        for player, measure in players.items():
            ms = measure()
            if number:  # the first one warms up
                took[player].append(ms)
    baseline = statistics.median(took[next(iter(players))])
    rows = [
        (player, *spread(ms, digits=0), f"{statistics.median(ms) / baseline:.2f}")
        for player, ms in took.items()
    ]
    return markdown_table(("tap to first frame", "ms, median", "least", "most", "÷ plain"), rows)


def show_plain_video(api: FakeApi) -> str:
    api.site_page, api.site_policy = PLAIN, ""
    return f"{api.url}/site"


def measure_tap(camera: Camera, url: str, button: str, engine: str | None = None) -> float:
    """Measure the milliseconds from the tap to the first frame, with an empty cache."""
    with recorded_page(camera) as (page, _):
        page.goto(url)
        page.wait_for_load_state("networkidle")
        return tap_to_first_frame(page, button, engine)


def tap_to_first_frame(page: Page, button: str, engine: str | None) -> float:
    """Tap; return the milliseconds to the first frame, which this engine must have shown."""
    page.locator(button).click()
    page.wait_for_function("() => window.tookMs > 0")
    used = page.evaluate("document.querySelector('khronika-video')?.engine ?? null")
    if used != engine:
        sys.exit(f"bench.page_load: {engine} should have played, but {used} did")
    return float(page.evaluate("window.tookMs"))


if __name__ == "__main__":
    main()
