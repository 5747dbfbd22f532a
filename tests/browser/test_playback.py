"""Playback: the engines, their failures, and the bytes that a page loads before the tap."""

import subprocess
from os import environ
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Locator, expect

from pipeline.media.tools import Tools, locate_tools
from tests.browser.conftest import NARROW, PHONE, Opened, Pages, bottom, focused, wait_until
from tests.browser.fake_api import FakeApi, card, later
from tests.browser.site import Site, video

SAMPLE = Path(__file__).parents[1] / "media" / "big-buck-bunny-720p-5s.mp4"
BUDGET_BYTES = 12 * 1024
CONTROLS_PX = 48
VIDEO = "document.querySelector('khronika-video').shadowRoot.querySelector('video')"
SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Safari/605.1.15"
)
WATCH_PLAY = """
window.played = [];
const { play } = HTMLMediaElement.prototype;
HTMLMediaElement.prototype.play = function () {
  window.played.push(this.getAttribute("src"));
  return play.call(this);
};
"""
"""Record the source of each call of play()."""
WATCH_TIMES = """
window.times = [];
const { play } = HTMLMediaElement.prototype;
HTMLMediaElement.prototype.play = function () {
  const note = () => {
    const { engine } = document.querySelector("khronika-video");
    window.times.push([engine, this.currentTime]);
  };
  if (!this.noted) this.addEventListener("timeupdate", note);
  this.noted = true;
  return play.call(this);
};
"""
"""Record the engine and the second of each picture shown."""
PATIENT_SEC = 60
"""Seconds that a stream may stand still in a test: on a busy machine its first picture is late."""
SPRITE = "sprite.jpg#xywh=160,0,160,90"


@pytest.fixture(scope="package")
def tools() -> Tools:
    return locate_tools(environ)


@pytest.fixture(scope="package")
def outputs(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the outputs of a real clip: playlist, segments, file, poster, storyboard."""
    folder = tmp_path_factory.mktemp("outputs")
    made: list[str | Path] = [tools.ffmpeg, "-v", "error", "-i", SAMPLE]
    hls = "-c:v libx264 -preset ultrafast -vf scale=640:-2 -g 24 -c:a copy -f hls -hls_time 1"
    hls += " -hls_playlist_type vod -hls_segment_type fmp4"
    run = [
        [*made, *hls.split(), folder / "video.m3u8"],
        [*made, "-c", "copy", "-movflags", "+faststart", folder / "video.mp4"],
        [*made, "-frames:v", "1", folder / "poster.jpg"],
        [*made, "-vf", "scale=160:90,tile=2x1", "-frames:v", "1", folder / "sprite.jpg"],
    ]
    for command in run:
        subprocess.run(command, check=True, capture_output=True)
    (folder / "story.vtt").write_text(f"WEBVTT\n\n00:00.000 --> 00:05.000\n{SPRITE}\n")
    (folder / "en.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:05.000\nA rabbit.\n")
    return folder


def published(api: FakeApi, outputs: Path, **changes: Any) -> dict[str, Any]:
    """Make the card of a completed video with files at the API's own address."""
    for file in outputs.iterdir():
        link = api.media / file.name
        if not link.exists():
            link.symlink_to(file)
    return card(
        "one",
        playable=True,
        width=1280,
        height=720,
        manifest_url=f"{api.url}/media/video.m3u8",
        fallback_url=f"{api.url}/media/video.mp4",
        poster_url=f"{api.url}/media/poster.jpg",
        **changes,
    )


def play(opened: Opened) -> Locator:
    """Tap the video. Its stream may stand still for long, unless the page says otherwise."""
    element = opened.page.locator("khronika-video")
    element.evaluate(
        """(element, patience) => {
            if (!element.hasAttribute("stall-after")) element.setAttribute("stall-after", patience);
        }""",
        PATIENT_SEC,
    )
    element.locator(".play").click()
    return element


def expect_playing(opened: Opened, engine: str, *, after: float = 0.3) -> None:
    opened.page.wait_for_function(
        """([engine, after]) => {
            const element = document.querySelector("khronika-video");
            const video = element.shadowRoot.querySelector("video");
            return element.engine === engine && video && video.currentTime > after;
        }""",
        arg=[engine, after],
    )


def modules_of(opened: Opened) -> list[str]:
    """Return the addresses below /web/ that the page has loaded."""
    addresses: list[str] = opened.page.evaluate(
        "performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    return [address for address in addresses if "/web/" in address]


def transferred(address: str) -> int:
    """Return the size of the body that a browser gets, in bytes."""
    answer = requests.get(address, headers={"Accept-Encoding": "gzip"}, timeout=60)
    return int(answer.headers["Content-Length"])


def test_a_tap_plays_the_stream_through_hls_js(
    open_page: Pages, fake_api: FakeApi, site: Site, outputs: Path
) -> None:
    fake_api.put(published(fake_api, outputs))
    opened = open_page(site.show(video("one")), PHONE)
    play(opened)
    expect_playing(opened, "hls.js")
    assert fake_api.asked["GET /media/video.mp4"] == 0


def weigh(opened: Opened) -> dict[str, int]:
    """Return the bytes of each loaded module, as sent. Fail if their sum exceeds the budget."""
    sizes = {address.split("/web/")[1]: transferred(address) for address in modules_of(opened)}
    assert sum(sizes.values()) < BUDGET_BYTES, sizes
    return sizes


@pytest.mark.parametrize("lang", ["en", "ka"])
def test_before_the_tap_no_player_is_loaded_and_the_modules_are_small(
    open_page: Pages, fake_api: FakeApi, site: Site, outputs: Path, lang: str
) -> None:
    fake_api.put(published(fake_api, outputs))
    opened = open_page(site.show(video("one"), lang=lang), PHONE)
    expect(opened.page.locator("#one .play")).to_be_visible()
    opened.page.wait_for_load_state("networkidle")
    loaded = weigh(opened)
    assert ("player/words.ka.js" in loaded) == (lang == "ka")
    assert not any(part in name for name in loaded for part in ("stream", "owner", "vendor"))
    assert fake_api.asked["GET /media/video.m3u8"] == 0
    assert fake_api.asked["GET /media/video.mp4"] == 0


@pytest.mark.parametrize("lang", ["en", "ka"])
def test_following_a_video_live_stays_within_the_same_budget(
    open_page: Pages, fake_api: FakeApi, site: Site, lang: str
) -> None:
    fake_api.put(card("one", "processing", progress=10.0))
    opened = open_page(site.show(video("one"), lang=lang))
    expect(opened.page.locator("#one .headline")).not_to_be_empty()
    wait_until(opened.page, lambda: len(fake_api.open_streams) == 1)
    loaded = weigh(opened)
    assert "player/event-stream.js" in loaded
    assert ("player/words.ka.js" in loaded) == (lang == "ka")


def test_in_detail_mode_the_length_is_known_and_the_tap_starts_the_stream_alone(
    open_page: Pages, fake_api: FakeApi, site: Site, outputs: Path
) -> None:
    fake_api.put(published(fake_api, outputs))
    opened = open_page("about:blank")
    opened.page.add_init_script(WATCH_PLAY)
    opened.page.goto(site.show(video("one", mode="detail")))
    opened.page.wait_for_function(f"() => {VIDEO}?.duration > 4")
    play(opened)
    expect_playing(opened, "hls.js")
    played = opened.page.evaluate("window.played")
    assert played[0] is None
    assert all(source.startswith("blob:") for source in played[1:])
    assert fake_api.asked["GET /media/video.mp4"] == 1


def open_as_safari(open_page: Pages, url: str) -> Opened:
    """Open a page without Media Source Extensions, with the user agent of Safari."""
    opened = open_page("about:blank", user_agent=SAFARI)
    opened.page.add_init_script("delete window.MediaSource; delete window.ManagedMediaSource;")
    opened.page.goto(url)
    return opened


def test_a_browser_with_its_own_hls_plays_the_stream_itself(
    open_page: Pages, fake_api: FakeApi, site: Site, outputs: Path
) -> None:
    fake_api.put(published(fake_api, outputs))
    opened = open_as_safari(open_page, site.show(video("one")))
    play(opened)
    expect_playing(opened, "native")
    assert not any("vendor" in address for address in modules_of(opened))
    assert fake_api.asked["GET /media/video.mp4"] == 0


def test_if_the_browsers_own_hls_fails_the_file_plays(
    open_page: Pages, fake_api: FakeApi, site: Site, outputs: Path
) -> None:
    document = published(fake_api, outputs)
    fake_api.put(document | {"manifest_url": f"{fake_api.url}/media/gone.m3u8"})
    opened = open_as_safari(open_page, site.show(video("one")))
    opened.expect("gone.m3u8")
    play(opened)
    expect_playing(opened, "file")


def test_a_broken_stream_is_replaced_by_the_file_once_with_a_note(
    open_page: Pages, fake_api: FakeApi, site: Site, outputs: Path
) -> None:
    document = published(fake_api, outputs)
    fake_api.put(document | {"manifest_url": f"{fake_api.url}/media/gone.m3u8"})
    opened = open_page(site.show(video("one")), NARROW)
    opened.expect("gone.m3u8")
    element = play(opened)
    expect_playing(opened, "file")
    note = element.locator(".panel")
    expect(note).to_contain_text("goes on with another version")
    assert bottom(element.locator("video")) - bottom(note) > CONTROLS_PX
    element.locator(".dismiss").click()
    expect(element.locator(".panel")).to_be_hidden()
    assert focused(opened.page) == "video"


def test_a_stalled_stream_is_replaced_by_the_file_at_the_same_second(
    open_page: Pages, fake_api: FakeApi, site: Site, outputs: Path
) -> None:
    fake_api.put(published(fake_api, outputs))
    fake_api.held.add("video1.m4s")
    streamed, replaced = replaced_stream(open_page, site)
    assert streamed > 0.5
    assert replaced >= streamed - 0.5


def test_a_stream_whose_part_is_missing_is_replaced_by_the_file_where_it_was(
    open_page: Pages, fake_api: FakeApi, site: Site, outputs: Path
) -> None:
    document = published(fake_api, outputs)
    (fake_api.media / "half.m3u8").write_text(
        (outputs / "video.m3u8").read_text().replace("video1.m4s", "missing.m4s")
    )
    fake_api.put(document | {"manifest_url": f"{fake_api.url}/media/half.m3u8"})
    streamed, replaced = replaced_stream(open_page, site)
    assert replaced >= streamed - 0.5


def replaced_stream(open_page: Pages, site: Site) -> tuple[float, float]:
    """Play a stream until the file has replaced it.

    Returns:
        The last second of the stream (0: nothing of it was shown), and the first of the file.
    """
    opened = open_page("about:blank")
    opened.page.add_init_script(WATCH_TIMES)
    opened.page.goto(site.show(video("one", stall_after="9")))
    opened.expect("missing.m4s")
    play(opened)
    opened.page.wait_for_function("() => times.some(([engine]) => engine === 'file')")
    times = opened.page.evaluate("times")
    streamed = [second for engine, second in times if engine == "hls.js"]
    return max(streamed, default=0.0), min(second for engine, second in times if engine == "file")


def test_an_unplayable_video_keeps_its_poster_and_is_retried_at_the_same_second(
    open_page: Pages, fake_api: FakeApi, site: Site, outputs: Path
) -> None:
    document = published(fake_api, outputs)
    nowhere = {"manifest_url": None, "fallback_url": f"{fake_api.url}/media/gone.mp4"}
    fake_api.put(document | nowhere)
    opened = open_page(site.show(video("one")))
    opened.expect("gone.mp4")
    element = play(opened)
    expect(element).to_have_attribute("data-state", "unavailable")
    expect(element.locator(".poster")).to_be_visible()
    expect(element.locator("video")).to_be_hidden()
    fake_api.put(document | {"updated_at": later(1)})
    element.get_by_role("button", name="Try again").click()
    expect_playing(opened, "hls.js")
    expect(element).to_have_attribute("data-state", "ready")
    assert focused(opened.page) == "video"


def test_broken_playback_continues_at_the_same_second(
    open_page: Pages, fake_api: FakeApi, site: Site, outputs: Path
) -> None:
    document = published(fake_api, outputs)
    fake_api.put(document | {"manifest_url": None})
    opened = open_page(site.show(video("one")))
    element = play(opened)
    expect_playing(opened, "file")
    element.evaluate(
        """(element) => {
            const video = element.shadowRoot.querySelector("video");
            const fail = () => {
                if (video.currentTime < 3) return;
                video.removeEventListener("timeupdate", fail);
                video.src = "/media/gone.mp4";
            };
            video.addEventListener("timeupdate", fail);
            video.currentTime = 3;
        }"""
    )
    opened.expect("gone.mp4")
    expect(element).to_have_attribute("data-state", "unavailable")
    element.get_by_role("button", name="Try again").click()
    element.evaluate("(element) => element.shadowRoot.querySelector('video').pause()")
    opened.page.wait_for_function(f"() => {VIDEO}.currentTime > 2.9")


def test_a_legacy_post_plays_its_address_and_asks_the_api_nothing(
    open_page: Pages, fake_api: FakeApi, site: Site, outputs: Path
) -> None:
    document = published(fake_api, outputs)
    opened = open_page(site.show(video(video_url=document["fallback_url"])))
    play(opened)
    expect_playing(opened, "file")
    assert not any("/api/" in asked for asked in fake_api.asked)


def test_captions_of_the_page_apply_to_the_video_and_may_have_another_origin(
    open_page: Pages, fake_api: FakeApi, site: Site, outputs: Path
) -> None:
    fake_api.put(published(fake_api, outputs))
    track = (
        f'<track kind="captions" srclang="en" label="English" src="{fake_api.url}/media/en.vtt">'
    )
    opened = open_page(site.show(video("one", children=track, crossorigin="anonymous")))
    play(opened)
    expect_playing(opened, "hls.js")
    opened.page.evaluate(f"{VIDEO}.textTracks[0].mode = 'showing'")
    opened.page.wait_for_function(f"() => {VIDEO}.textTracks[0].cues?.length === 1")
    assert opened.page.evaluate(f"{VIDEO}.textTracks[0].label") == "English"


def test_the_storyboard_shows_over_the_controls_once_it_plays(
    open_page: Pages, fake_api: FakeApi, site: Site, outputs: Path
) -> None:
    fake_api.put(published(fake_api, outputs, storyboard_url=f"{fake_api.url}/media/story.vtt"))
    opened = open_page(site.show(video("one")))
    assert fake_api.asked["GET /web/player/storyboard-preview.js"] == 0
    element = play(opened)
    expect_playing(opened, "hls.js")
    expect(element.locator(".preview")).to_be_attached()
    box = element.locator("video").bounding_box()
    assert box is not None
    opened.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 10)
    expect(element.locator(".preview")).to_be_visible()
    expect(element.locator(".preview")).to_have_text("0:02")
    opened.page.mouse.move(box["x"] + 20, box["y"] + 10)
    expect(element.locator(".preview")).to_be_hidden()


def test_the_keyboard_plays_and_keeps_the_focus(
    open_page: Pages, fake_api: FakeApi, site: Site, outputs: Path
) -> None:
    fake_api.put(published(fake_api, outputs))
    opened = open_page(site.show(video("one")))
    expect(opened.page.locator("#one .play")).to_be_visible()
    opened.page.keyboard.press("Tab")
    opened.page.keyboard.press("Enter")
    expect_playing(opened, "hls.js")
    assert focused(opened.page) == "video"


def test_a_removed_element_releases_everything_it_holds(
    open_page: Pages, fake_api: FakeApi, site: Site, outputs: Path
) -> None:
    fake_api.put(published(fake_api, outputs, status="processing"))
    opened = open_page(site.show(video("one")))
    play(opened)
    expect_playing(opened, "hls.js")
    kept = opened.page.evaluate_handle(
        """() => {
            const element = document.querySelector("khronika-video");
            const video = element.shadowRoot.querySelector("video");
            element.remove();
            return video;
        }"""
    )
    opened.page.wait_for_function("(video) => video.paused && !video.getAttribute('src')", arg=kept)
    wait_until(opened.page, lambda: fake_api.open_streams == [])
