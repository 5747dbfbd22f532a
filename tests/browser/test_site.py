"""The whole product in a real browser: real uploads, encodes and playback."""

from collections.abc import Iterator
from filecmp import cmp
from http import HTTPStatus
from os import environ
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page, Request, Response, Route, expect

from pipeline.media.tools import Tools, locate_tools
from stack.home import Home
from tests import clips
from tests.browser.conftest import (
    DESKTOP,
    PHONE,
    SHIFT_LIMIT,
    WATCH_SHIFTS,
    Opened,
    Pages,
    shift_of,
    wait_until,
)
from tests.browser.live import (
    MIB,
    SETTLE_MS,
    Network,
    choose,
    large,
    own_api,
    own_site,
    running_site,
)
from tests.browser.test_live import hold
from tests.browser.test_playback import SAMPLE, expect_playing, play
from tests.pinned_library import HLS_JS
from tests.running import RunningStack

CARDS = "**/api/video-assets**"
PLAYER = "**/web/khronika-video.js"


@pytest.fixture(scope="module")
def stack(home: Home) -> Iterator[RunningStack]:
    with running_site(home.root / "site") as stack:
        yield stack


@pytest.fixture(scope="module")
def tools() -> Tools:
    return locate_tools(environ)


@pytest.fixture(scope="module")
def files(clip_folder: Path) -> Path:
    return clip_folder


def expect_state(page: Page, state: str, selector: str = "khronika-video") -> None:
    expect(page.locator(selector)).to_have_attribute("data-state", state, timeout=SETTLE_MS)


def publish(opened: Opened, path: Path) -> None:
    choose(opened.page, path).get_by_role("button", name="Publish").click()


def percent(opened: Opened) -> int:
    return int(opened.page.locator("khronika-composer .progress").evaluate("(bar) => bar.value"))


def wait_for_percent(opened: Opened, least: int) -> None:
    opened.page.wait_for_function(
        """(least) => document.querySelector("khronika-composer").shadowRoot
            .querySelector(".progress").value >= least""",
        arg=least,
    )


@pytest.fixture(scope="module")
def published(stack: RunningStack, browser: Browser) -> str:
    """Upload a video in the browser, and return the page of its post when it is processed."""
    page = browser.new_page()
    page.goto(f"{stack.site_url}/compose")
    page.get_by_label("What is it about?").fill("A rabbit, uploaded")
    choose(page, SAMPLE).get_by_role("button", name="Publish").click()
    expect_state(page, "ready")
    address = str(page.locator("#link").evaluate("(link) => link.href"))
    page.close()
    return address


def test_a_file_is_published_at_once_and_played_when_it_is_ready(
    open_page: Pages, stack: RunningStack, files: Path, tools: Tools
) -> None:
    opened = open_page(f"{stack.site_url}/compose", PHONE)
    composer = choose(opened.page, clips.widescreen(files, tools))
    expect(composer.locator(".name")).to_have_text("widescreen.mp4")
    expect(composer.locator("dl")).to_contain_text("640 \N{MULTIPLICATION SIGN} 360")
    expect(composer.locator("dl")).to_contain_text("0:02")
    composer.get_by_role("slider").fill("1.5")
    pixels = "(canvas) => canvas.getContext('2d').getImageData(0, 0, 9, 9).data.some(Boolean)"
    assert composer.locator("canvas").evaluate(pixels)
    opened.screenshot("chosen")
    assert opened.accessibility() == []
    with opened.page.expect_request("**/api/video-assets/create") as created:
        composer.get_by_role("button", name="Publish").click()
        expect(opened.page.locator("khronika-video")).to_be_visible()
    told: dict[str, Any] = created.value.post_data_json or {}
    assert (told["poster_time_sec"], told["width"], told["height"]) == (1.5, 640, 360)
    expect_state(opened.page, "ready")
    opened.screenshot("published")
    play(opened)
    expect_playing(opened, "hls.js")


def test_a_stream_plays_and_its_quality_is_switched(
    open_page: Pages, stack: RunningStack, published: str
) -> None:
    opened = open_page(published)
    opened.page.wait_for_function(
        """() => document.querySelector("khronika-video").shadowRoot
            ?.querySelector(".poster").naturalWidth > 0"""
    )
    opened.page.evaluate(
        """async (library) => {
            const { default: Hls } = await import(library);
            const load = Hls.prototype.loadSource;
            Hls.prototype.loadSource = function (url) { window.hls = this; load.call(this, url); };
        }""",
        f"{stack.base_url}{HLS_JS}",
    )
    play(opened)
    expect_playing(opened, "hls.js")
    opened.page.evaluate(
        "document.querySelector('khronika-video').shadowRoot.querySelector('video').loop = true"
    )
    heights = opened.page.evaluate("hls.levels.map((level) => level.height)")
    assert len(heights) >= 3
    for level in (0, len(heights) - 1):
        opened.page.evaluate("(level) => { hls.currentLevel = level; }", level)
        opened.page.wait_for_function(
            """(height) => document.querySelector("khronika-video").shadowRoot
                .querySelector("video").videoHeight === height""",
            arg=heights[level],
        )


def test_without_the_stream_the_file_plays(open_page: Pages, published: str) -> None:
    opened = open_page(published)
    opened.expect("ERR_FAILED")
    opened.page.route("**/*.m3u8", lambda route: route.abort())
    play(opened)
    expect_playing(opened, "file")


def test_a_lost_network_costs_no_part_that_has_arrived(
    open_page: Pages, stack: RunningStack, files: Path, tools: Tools
) -> None:
    opened = open_page(f"{stack.site_url}/compose")
    opened.expect("ERR_INTERNET_DISCONNECTED|503")
    finished: list[Request] = []  # not only begun to be answered, when the network is lost
    opened.page.on("requestfinished", lambda request: _note_put(finished, request))
    network = Network(opened.page)
    network.be(upload_bps=64_000_000)
    publish(opened, large(files, tools))
    wait_for_percent(opened, 30)
    network.be(offline=True)
    status = opened.page.locator("khronika-composer .status")
    expect(status).to_contain_text("You are offline")
    network.be()
    expect(opened.page.locator("khronika-composer")).to_have_attribute("data-state", "done")
    expect_state(opened.page, "ready")
    sent = [each.url for each in finished if (answer := each.response()) and answer.ok]
    assert len(sent) == len(set(sent)) == 3


def _note_put(finished: list[Request], request: Request) -> None:
    if request.method == "PUT":
        finished.append(request)


def _note_part(sent: list[str], answer: Response) -> None:
    """Note a part that was taken; a busy server may refuse one, which is then sent again."""
    if answer.request.method == "PUT" and answer.ok:
        sent.append(answer.url)


def test_after_a_reload_the_same_file_continues_its_upload(
    open_page: Pages, stack: RunningStack, files: Path, tools: Tools
) -> None:
    opened = open_page(f"{stack.site_url}/compose")
    path = large(files, tools)
    sent: list[str] = []
    opened.page.on("response", lambda answer: _note_part(sent, answer))
    opened.page.route("**/parts/3", _refuse_bytes)
    opened.expect("ERR_FAILED|503")
    publish(opened, path)
    # Both answered: of one that a reload interrupts the browser tells nothing.
    wait_until(opened.page, lambda: len(sent) == 2)
    expect(opened.page.locator("khronika-composer .status")).to_contain_text("does not answer")
    asked: list[str] = []
    opened.page.on("dialog", lambda dialog: _accept(asked, dialog))
    opened.page.unroute("**/parts/3")
    opened.page.reload()
    assert asked == ["beforeunload"]
    composer = opened.page.locator("khronika-composer")
    expect(composer.locator(".hint")).to_contain_text("large.mp4 was interrupted")
    choose(opened.page, path).get_by_role("button", name="Resume the upload").click()
    expect(composer).to_have_attribute("data-state", "done")
    expect_state(opened.page, "ready")
    assert len(sent) == len(set(sent)) == 3


def _accept(asked: list[str], dialog: Dialog) -> None:
    asked.append(dialog.type)
    dialog.accept()


def _refuse_bytes(route: Route) -> None:
    if route.request.method == "PUT":
        route.abort()
    else:
        route.continue_()


def test_a_part_that_is_damaged_on_its_way_is_refused_and_sent_again(
    open_page: Pages, stack: RunningStack, files: Path, tools: Tools
) -> None:
    opened = open_page(f"{stack.site_url}/compose")
    opened.expect("422")
    path = large(files, tools)
    answers: list[int] = []
    opened.page.on("response", lambda answer: _note_last_part(answers, answer))
    opened.page.route("**/parts/3", lambda route: _damage(route, path), times=1)
    with opened.page.expect_response("**/complete", timeout=SETTLE_MS) as completed:
        publish(opened, path)
    assert answers == [422, 200]
    stored = stack.home.root.glob(f"**/{completed.value.json()['upload_id']}/source.mp4")
    assert [cmp(path, copy, shallow=False) for copy in stored] == [True]


def _note_last_part(answers: list[int], answer: Response) -> None:
    if answer.request.method == "PUT" and answer.url.endswith("/parts/3"):
        answers.append(answer.status)


def _damage(route: Route, path: Path) -> None:
    """Flip one bit of the part on its way."""
    content = bytearray(path.read_bytes()[16 * MIB :])
    content[-1] ^= 1
    route.continue_(post_data=bytes(content))


def test_a_visitor_who_came_during_the_upload_sees_the_video_arrive(
    open_page: Pages, stack: RunningStack, files: Path, tools: Tools
) -> None:
    opened = open_page(f"{stack.site_url}/compose")
    held = hold(opened, "**/content")
    publish(opened, clips.widescreen(files, tools))
    wait_until(opened.page, lambda: len(held) == 1)
    expect(opened.page.locator("#published")).to_be_visible()
    address = str(opened.page.locator("#link").evaluate("(link) => link.href"))
    visitors = open_page("about:blank").page
    cookie = {"name": "khronika_site_user", "value": "demo-giorgi", "url": stack.site_url}
    visitors.context.add_cookies([cookie])  # type: ignore[list-item]
    pages = {visitors: "This video is being uploaded", open_page("about:blank").page: "Your video"}
    for page, words in pages.items():
        page.goto(address)
        expect_state(page, "uploading")
        expect(page.locator("khronika-video .headline")).to_contain_text(words)
    held[0].continue_()
    for page in pages:
        expect_state(page, "ready")


def test_an_upload_is_paused_and_resumed_or_abandoned(
    open_page: Pages, stack: RunningStack, files: Path, tools: Tools
) -> None:
    opened = open_page(f"{stack.site_url}/compose")
    opened.page.route("**/parts/*", _refuse_bytes)
    opened.expect("ERR_FAILED")
    publish(opened, large(files, tools))
    composer = opened.page.locator("khronika-composer")
    expect(opened.page.locator("#published")).to_be_visible()
    composer.get_by_role("button", name="Pause").click()
    expect(composer).to_have_attribute("data-state", "paused")
    expect(opened.page.locator("#card")).to_contain_text("The upload is paused.")
    composer.get_by_role("button", name="Resume").click()
    expect(composer).to_have_attribute("data-state", "uploading")
    # Both, or the feed of a later test has a post whose video never arrives.
    with (
        opened.page.expect_response(lambda answer: _is_withdrawal(answer.request)) as withdrawn,
        opened.page.expect_response(lambda answer: _gives_up(answer.request)) as gone,
    ):
        composer.get_by_role("button", name="Cancel").click()
    assert (withdrawn.value.status, gone.value.status) == (204, 204)
    expect(composer).to_have_attribute("data-state", "empty")
    assert opened.page.evaluate("Object.keys(localStorage)") == []
    expect(opened.page.locator("#published")).to_be_hidden()


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (("notes.txt", b"words"), "not a video"),
        (("empty.mp4", b""), "is empty"),
        (("much.mp4", b"12345678"), "larger than the limit of 7 byte"),
    ],
)
def test_a_file_that_would_be_refused_is_not_sent(
    open_page: Pages, stack: RunningStack, tmp_path: Path, file: tuple[str, bytes], words: str
) -> None:
    opened = open_page(f"{stack.site_url}/compose")
    opened.page.locator("khronika-composer").evaluate("(it) => it.setAttribute('max-bytes', 7)")
    path = tmp_path / file[0]
    path.write_bytes(file[1])
    opened.page.locator("khronika-composer input[type=file]").set_input_files(path)
    expect(opened.page.get_by_role("alert")).to_contain_text(words)


def test_a_refusal_is_shown_in_the_servers_words_or_the_readers_language(
    open_page: Pages, stack: RunningStack, tmp_path: Path
) -> None:
    opened = open_page(f"{stack.site_url}/compose")
    opened.expect("422")
    opened.page.locator("khronika-composer").evaluate("(it) => it.setAttribute('lang', 'ka')")
    (tmp_path / "trick.mp4").write_bytes(b"no video at all")
    composer = opened.page.locator("khronika-composer")
    composer.locator("input[type=file]").set_input_files(tmp_path / "trick.mp4")
    with opened.page.expect_response(lambda answer: _is_withdrawal(answer.request)) as withdrawn:
        composer.get_by_role("button", name="გამოქვეყნება").click()
        expect(composer).to_have_attribute("data-state", "failed")
    assert withdrawn.value.status == HTTPStatus.NO_CONTENT
    expect(composer.get_by_role("alert")).to_contain_text("ეს ფაილი არ არის ვიდეო")
    expect(opened.page.locator("#published")).to_be_hidden()


def _is_withdrawal(request: Request) -> bool:
    return request.method == "DELETE" and "/posts/" in request.url


def _gives_up(request: Request) -> bool:
    return request.method == "DELETE" and "/api/uploads/" in request.url


def test_a_card_ends_in_the_right_state_although_the_api_was_away_meanwhile(
    open_page: Pages, stack: RunningStack, files: Path, tools: Tools, tmp_path: Path
) -> None:
    refused: list[str] = []
    secret = stack.environment["KHRONIKA_JWT_SECRET"]
    with (
        own_api(stack) as api,
        own_site(api.base_url, secret, tmp_path, api.site_port) as site,
    ):
        opened = open_page(f"{site}/compose")
        opened.expect("ERR_|Failed to load resource")
        opened.page.on("requestfailed", lambda request: _note_refused(refused, request))
        with opened.page.expect_request("**/api/video-assets/stream**"):
            publish(opened, clips.widescreen(files, tools))
        api.kill()
        wait_until(opened.page, lambda: any("/api/video-assets" in url for url in refused))
        api.start()
        expect_state(opened.page, "ready")
        open_page.close()


def _note_refused(refused: list[str], request: Request) -> None:
    if "ERR_CONNECTION_REFUSED" in (request.failure or ""):
        refused.append(request.url)


def test_the_keyboard_alone_publishes_and_plays(
    open_page: Pages, stack: RunningStack, files: Path, tools: Tools
) -> None:
    opened = open_page(f"{stack.site_url}/compose")
    page = opened.page
    # From the start: the browser applies it without waiting, and a key may come before.
    page.on("filechooser", lambda _: None)
    page.get_by_label("What is it about?").focus()
    page.keyboard.press("Tab")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(clips.widescreen(files, tools))
    expect(page.locator("khronika-composer")).to_have_attribute("data-state", "ready")
    assert _focused(page) == "Publish"
    page.keyboard.press("Enter")
    expect_state(page, "ready")
    while _focused(page) != "Choose another":
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect_playing(opened, "hls.js")


def _focused(page: Page) -> str:
    return str(
        page.evaluate(
            """() => {
                const outer = document.activeElement;
                return (outer?.shadowRoot?.activeElement ?? outer)?.textContent ?? "";
            }"""
        )
    )


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_the_feed_does_not_jump_and_is_accessible(
    open_page: Pages, stack: RunningStack, published: str, size: tuple[int, int]
) -> None:
    opened = open_page("about:blank", size)
    opened.page.context.add_init_script(WATCH_SHIFTS)
    opened.page.goto(f"{stack.site_url}/")
    for element in opened.page.locator("khronika-video").all():
        element.scroll_into_view_if_needed()
    opened.page.evaluate("scrollTo({ top: document.body.scrollHeight })")
    assert shift_of(opened.page, SETTLE_MS) <= SHIFT_LIMIT
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert opened.accessibility() == []
    opened.screenshot(f"feed-{size[0]}")


def test_a_post_older_than_the_pipeline_plays_from_its_address(
    open_page: Pages, stack: RunningStack
) -> None:
    opened = open_page(f"{stack.site_url}/")
    opened.page.locator("[data-kind=legacy] a").click()
    asked: list[str] = []
    opened.page.on("request", lambda request: asked.append(request.url))
    expect_state(opened.page, "ready")
    play(opened)
    expect_playing(opened, "file")
    assert not any("/api/" in url for url in asked)


@pytest.mark.parametrize("kind", ["text", "image"])
def test_a_post_without_a_video_asks_for_none_and_looks_alike_without_the_pipeline(
    open_page: Pages, stack: RunningStack, kind: str
) -> None:
    seen = [_look(open_page, stack, kind, has_pipeline=on) for on in (True, False)]
    assert seen[0] == seen[1]


def _look(
    open_page: Pages, stack: RunningStack, kind: str, *, has_pipeline: bool
) -> tuple[str, bytes, str, bytes]:
    """Return the post's HTML and picture, in the feed and on its own page."""
    opened = open_page("about:blank")
    if not has_pipeline:
        opened.expect("ERR_FAILED")
        for what in (CARDS, PLAYER):
            opened.page.route(what, lambda route: route.abort())
    feed = _shown(opened.page, f"{stack.site_url}/", kind)
    address = opened.page.locator(f"[data-kind={kind}] a").evaluate("(link) => link.href")
    # The feed may request other posts' videos until it is closed.
    opened.page.goto("about:blank")
    asked: list[str] = []
    opened.page.on("request", lambda request: asked.append(request.url))
    alone = _shown(opened.page, address, kind)
    assert not any("/api/" in url or url.endswith(".js") for url in asked), asked
    return *feed, *alone


def _shown(page: Page, address: str, kind: str) -> tuple[str, bytes]:
    page.goto(address, wait_until="load")
    post = page.locator(f"[data-kind={kind}]")
    return str(post.evaluate("(post) => post.outerHTML")), post.screenshot()


def test_visitors_see_the_example_and_either_may_be_the_other(
    open_page: Pages, stack: RunningStack
) -> None:
    opened = open_page(f"{stack.site_url}/")
    expect(opened.page.get_by_text("You are Ana.")).to_be_visible()
    expect_state(opened.page, "ready", "[data-sample]")
    opened.page.get_by_role("button", name="Be Giorgi").click()
    expect(opened.page.get_by_text("You are Giorgi.")).to_be_visible()
    assert opened.page.locator("[data-sample]").count() == 0
    expect(opened.page.locator("[data-state=ready]")).not_to_have_count(0)
