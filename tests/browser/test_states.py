"""Every state of the element, for the owner and for a visitor, on a phone and a desktop."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import expect

from pipeline.domain.failures import failure_of
from tests.browser.conftest import DESKTOP, PHONE, Pages, smallest_side, wait_until
from tests.browser.fake_api import LONG_AGO, TOKEN, FakeApi, asset, card, later, post_id
from tests.browser.site import Site, video

THUMB_PX = 44
"""Apple's Human Interface Guidelines; WCAG 2.2 asks for 24."""

FAR_AHEAD = "2099-01-01T00:00:00+00:00"
CORRUPT, UNREACHABLE = (
    failure_of(code).message for code in ("source_corrupt", "source_unreachable")
)


@dataclass(frozen=True)
class Case:
    """A state, the documents that cause it, and the expected words."""

    state: str
    owner: str
    visitor: str
    status: str | None = None
    public: dict[str, Any] = field(default_factory=dict)
    private: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    can_retry: bool = False


READY = {"playable": True, "width": 1280, "height": 720, "title": "A walk in Tusheti"}
CASES = {
    "uploading": Case(
        "uploading", "Uploading your video 40%", "40%", attributes={"upload_progress": "40"}
    ),
    "pending": Case(
        "uploading",
        "Your video has not arrived in full yet.",
        "This video is being uploaded",
        attributes={"pending_until": FAR_AHEAD},
    ),
    "interrupted": Case(
        "unavailable",
        "The upload of your video was not finished.",
        "This video is not available.",
        attributes={"pending_until": LONG_AGO},
    ),
    "queued": Case(
        "queued", "Your video is in the queue", "This video is being prepared", status="queued"
    ),
    "queued-known": Case(
        "queued",
        "Place in the queue: 3. Starts about in 4 minutes.",
        "This video is being prepared",
        status="queued",
        private={"queue_position": 3, "queue_wait_sec": 240},
    ),
    "held": Case(
        "queued",
        "Waiting for the processing service",
        "This video is being prepared",
        status="queued",
        private={"hold_reason": "spend_guard"},
    ),
    "verifying": Case(
        "processing",
        "Checking your video",
        "This video is being prepared",
        status="processing",
        public={"step": "verifying"},
    ),
    "encoding": Case(
        "processing",
        "Processing your video 62%",
        "This video is being prepared 62%",
        status="processing",
        public={"step": "encoding", "progress": 62.0},
    ),
    "checking": Case(
        "processing",
        "Last checks",
        "Last checks",
        status="processing",
        public={"step": "checking", "progress": 100.0},
    ),
    "slow": Case(
        "processing",
        "This is taking longer than usual.",
        "This is taking longer than usual.",
        status="processing",
        public={"step": "waiting", "updated_at": LONG_AGO},
    ),
    "retrying": Case(
        "retrying",
        "Attempt 3 of 5",
        "This video is being prepared",
        status="retrying",
        private={"attempt": 2, "next_attempt_at": FAR_AHEAD},
    ),
    "playable": Case(
        "playable",
        "Processing your video",
        "",
        status="processing",
        public={
            **READY,
            "step": "encoding",
            "fallback_url": "/media/none.mp4",
            "source": "processed",
        },
    ),
    "original": Case(
        "playable",
        "Waiting for processing",
        "A better version is being prepared.",
        status="processing",
        public={"step": "waiting", "fallback_url": "/media/none.mp4", "source": "original"},
    ),
    "ready": Case(
        "ready", "", "", status="completed", public={**READY, "fallback_url": "/media/none.mp4"}
    ),
    "portrait": Case(
        "ready",
        "",
        "",
        status="completed",
        public={**READY, "fallback_url": "/media/none.mp4", "width": 720, "height": 1280},
        attributes={"width": "720", "height": "1280"},
    ),
    "failed": Case(
        "failed",
        f"could not be processed {CORRUPT}",
        "This video is not available.",
        status="failed",
        private={"error_code": "source_corrupt", "error_message": CORRUPT, "retryable": False},
    ),
    "failed-retryable": Case(
        "failed",
        f"could not be processed {UNREACHABLE}",
        "This video is not available.",
        status="failed",
        private={
            "error_code": "source_unreachable",
            "error_message": UNREACHABLE,
            "retryable": True,
        },
        can_retry=True,
    ),
    "missing": Case("unavailable", "not available", "not available"),
}


def fill(api: FakeApi) -> None:
    for name, case in CASES.items():
        if case.status is None:
            continue
        api.put(card(name, case.status, **case.public))
        own = {key: value for key, value in case.public.items() if key != "source"}
        api.put(asset(name, case.status, **own) | case.private)


def elements(*, is_owner: bool) -> list[str]:
    extra: dict[str, Any] = {"owner": True, "token": TOKEN} if is_owner else {}
    shown = []
    for name, case in CASES.items():
        if name == "uploading":
            shown.append(video("", id=name, **case.attributes))
        else:
            shown.append(video(name, **extra, **case.attributes))
    return shown


@pytest.mark.parametrize("look", [(PHONE, "light"), (DESKTOP, "dark")], ids=["phone", "desktop"])
@pytest.mark.parametrize("who", ["owner", "visitor"])
def test_each_state_has_its_words_and_is_accessible(
    open_page: Pages, fake_api: FakeApi, site: Site, who: str, look: tuple[tuple[int, int], str]
) -> None:
    size, scheme = look
    fill(fake_api)
    url = site.show(*elements(is_owner=who == "owner"))
    opened = open_page(url, size, color_scheme=scheme, reduced_motion="reduce")
    for name, case in CASES.items():
        element = opened.page.locator(f"#{name}")
        expect(element).to_have_attribute("data-state", case.state)
        words = case.owner if who == "owner" else case.visitor
        panel = element.locator(".panel")
        if words:
            expect(panel).to_contain_text(words.split(" ")[0])
            assert words in " ".join(panel.inner_text().split()), name
        else:
            expect(panel).to_be_hidden()
        plays = case.state in {"ready", "playable"}
        expect(element.locator(".play")).to_be_visible(visible=plays)
        offers_retry = who == "owner" and case.can_retry
        expect(element.locator(".action")).to_be_visible(visible=offers_retry)
    opened.screenshot("states")
    buttons = opened.page.locator("khronika-video button:visible")
    assert smallest_side(buttons) >= THUMB_PX
    width = opened.page.evaluate("document.documentElement.scrollWidth")
    assert width <= size[0]
    assert opened.accessibility() == []


def test_space_is_reserved_before_the_card_arrives(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    fake_api.put(card("square", "queued", width=500, height=500))
    fake_api.refusal = (503, {"Retry-After": "1"})
    opened = open_page(site.show(video("square", width="500", height="500")), PHONE)
    opened.expect("503")
    element = opened.page.locator("#square")
    expect(element).to_have_attribute("data-state", "loading")
    before = element.bounding_box()
    fake_api.refusal = None
    expect(element).to_have_attribute("data-state", "queued")
    assert element.bounding_box() == before
    assert before is not None
    assert before["width"] == before["height"]


def test_georgian_is_loaded_on_a_page_in_georgian(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    fake_api.put(card("one", "queued"), card("two", "failed"))
    opened = open_page(site.show(video("one"), video("two", lang="en"), lang="ka"))
    expect(opened.page.locator("#one .headline")).to_have_text("ვიდეო მზადდება")
    expect(opened.page.locator("#two .headline")).to_have_text("This video is not available.")


def test_no_language_is_loaded_that_the_page_does_not_use(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    fake_api.put(card("one", "queued"))
    opened = open_page(site.show(video("one")))
    expect(opened.page.locator("#one")).to_have_attribute("data-state", "queued")
    assert fake_api.asked["GET /web/player/words.ka.js"] == 0


def test_a_site_may_replace_the_words(open_page: Pages, fake_api: FakeApi, site: Site) -> None:
    fake_api.put(card("one", "queued"))
    slotted = '<p slot="queued">Coming soon</p>'
    opened = open_page(site.show(video("one", children=slotted)))
    expect(opened.page.get_by_text("Coming soon")).to_be_visible()
    expect(opened.page.locator("#one .headline")).to_be_hidden()


def test_titles_and_messages_are_text_and_never_markup(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    evil = "<img src=x onerror=alert(1)>"
    fake_api.put(
        card("one", "failed", title=evil),
        asset("one", "failed", title=evil, error_code="odd", error_message=evil, retryable=False),
        card("two", playable=True, title=evil, fallback_url="/media/none.mp4"),
    )
    opened = open_page(site.show(video("one", owner=True, token=TOKEN), video("two")))
    expect(opened.page.locator("#one .details")).to_have_text(evil)
    expect(opened.page.locator("#two .play")).to_have_attribute("aria-label", f"Play video: {evil}")


def test_an_element_that_gets_another_post_shows_that_post(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    fake_api.put(card("one", "queued"), card("two", "failed"))
    opened = open_page(site.show(video("one")))
    element = opened.page.locator("#one")
    expect(element).to_have_attribute("data-state", "queued")
    element.evaluate("(element, post) => element.setAttribute('post-id', post)", post_id("two"))
    expect(element).to_have_attribute("data-state", "failed")


def test_each_change_of_state_is_an_event_for_the_page(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    fake_api.put(card("one", "queued"))
    opened = open_page(site.show(video("one")))
    wait_until(opened.page, lambda: len(fake_api.open_streams) == 1)
    opened.page.evaluate(
        "document.addEventListener('khronika-statechange', (event) => {"
        " window.heard = event.detail.state; })"
    )
    fake_api.send("asset", card("one", "processing", step="encoding", updated_at=later(1)))
    opened.page.wait_for_function("() => window.heard === 'processing'")


@pytest.mark.parametrize(("motion", "seconds"), [("no-preference", 0.2), ("reduce", 0)])
def test_nothing_moves_with_reduced_motion(
    open_page: Pages, fake_api: FakeApi, site: Site, motion: str, seconds: float
) -> None:
    fake_api.put(card("one", playable=True, fallback_url="/media/none.mp4"))
    opened = open_page(site.show(video("one")), reduced_motion=motion)
    expect(opened.page.locator("#one .play")).to_be_visible()
    longest = opened.page.locator("#one").evaluate(
        """(element) => Math.max(...[...element.shadowRoot.querySelectorAll("*")]
            .map((part) => getComputedStyle(part))
            .flatMap((style) => [style.transitionDuration, style.animationDuration])
            .map(parseFloat))"""
    )
    assert longest == seconds


@pytest.mark.parametrize("spelling", ["upper case", "no hyphens", "no hyphens in upper case"])
def test_a_post_id_is_read_as_the_api_reads_it(
    open_page: Pages, fake_api: FakeApi, site: Site, spelling: str
) -> None:
    written = post_id("one").replace("-", "" if "no hyphens" in spelling else "-")
    written = written.upper() if "upper" in spelling else written
    fake_api.put(card("one", "queued"))

    opened = open_page(site.show(video("one", post_id=written)))

    expect(opened.page.locator("#one .headline")).to_have_text("This video is being prepared")
