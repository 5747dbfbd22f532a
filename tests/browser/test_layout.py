"""The layout: all words within the frame, no word over a control, nothing that jumps."""

from typing import Any

import pytest
from playwright.sync_api import expect

from pipeline.domain.failures import FAILURES
from tests.browser.conftest import (
    DESKTOP,
    NARROW,
    PAINTED,
    PHONE,
    SHIFT_LIMIT,
    WATCH_SHIFTS,
    Opened,
    Pages,
    bottom,
    box,
    shift_of,
    wait_until,
)
from tests.browser.fake_api import TOKEN, FakeApi, asset, card, post_id
from tests.browser.site import Site, video
from tests.browser.test_live import hold

PORTRAIT: dict[str, Any] = {"width": 720, "height": 1280}
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="72" height="128"/>'

CARD_ON_A_PHONE = 327
CUT = """() => [...document.querySelectorAll("khronika-video")].flatMap((element) => {
    const root = element.shadowRoot;
    const frame = root.querySelector(".frame").getBoundingClientRect();
    return [...root.querySelectorAll(".headline, .details, .action, .play")].filter((part) => {
        const box = part.getBoundingClientRect();
        return box.width && (box.top < frame.top || box.bottom > frame.bottom
            || box.left < frame.left || box.right > frame.right);
    }).map((part) => `${element.id} ${part.className}`);
})"""
"""The parts that reach out of their frame, by element."""
CARDS = "**/api/video-assets?*"
LONGEST = "insufficient_space"
ONE_LINE_PX = 21


def test_every_reason_and_its_button_fit_on_a_phone_in_both_languages(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    shown = []
    for code, failure in FAILURES.items():
        words = {"error_code": code, "error_message": failure.message}
        fake_api.put(card(code, "failed"))
        fake_api.put(asset(code, "failed", retryable=failure.retryable, **words))
        for lang in ("en", "ka"):
            name = f"{code}-{lang}"
            of = post_id(code)
            shown.append(video(id=name, post_id=of, lang=lang, owner=True, token=TOKEN))
    opened = open_page(site.show(*shown), (CARD_ON_A_PHONE, PHONE[1]))
    opened.page.wait_for_function(
        """(count) => [...document.querySelectorAll("khronika-video")].filter((element) =>
            element.shadowRoot.querySelector(".details").innerText).length === count""",
        arg=len(shown),
    )
    assert opened.page.evaluate(CUT) == []
    opened.page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    assert box(opened.page.locator("khronika-video").first)["width"] == NARROW[0]
    assert opened.page.evaluate(CUT) == []


@pytest.mark.parametrize("lang", ["en", "ka"])
def test_a_note_of_two_lines_leaves_the_play_button_free_and_the_frame_as_it_is(
    open_page: Pages, fake_api: FakeApi, site: Site, lang: str
) -> None:
    fake_api.put(card("one", "processing", fallback_url="/media/none.mp4", source="original"))
    opened = open_page(site.show(video("one"), lang=lang), NARROW)
    note, play = opened.page.locator("#one .note"), opened.page.locator("#one .play")
    expect(note.locator(".headline")).to_be_visible()
    assert box(note.locator(".headline"))["height"] > ONE_LINE_PX
    assert bottom(note) <= box(play)["y"]
    frame = box(opened.page.locator("#one .frame"))
    assert frame["height"] == pytest.approx(frame["width"] * 9 / 16, abs=1)


def test_the_reason_of_a_failed_re_encode_stands_above_the_play_button_with_its_own(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    published = {"fallback_url": "/media/none.mp4", "playable": True}
    words = {"error_code": LONGEST, "error_message": FAILURES[LONGEST].message, "retryable": True}
    fake_api.put(card("one", "failed", **published), asset("one", "failed", **published, **words))
    shown = site.show(video("one", owner=True, token=TOKEN))
    opened = open_page(shown, NARROW)
    note, play = opened.page.locator("#one .note"), opened.page.locator("#one .play")
    expect(note.get_by_role("button", name="Retry")).to_be_visible()
    assert bottom(note) <= box(play)["y"]
    assert opened.page.evaluate(CUT) == []


def open_before_its_cards(open_page: Pages, url: str, size: tuple[int, int]) -> Opened:
    """Open a page that is drawn before its cards arrive."""
    opened = open_page("about:blank", size)
    opened.page.add_init_script(WATCH_SHIFTS)
    held = hold(opened, CARDS)
    opened.page.goto(url)
    wait_until(opened.page, lambda: bool(held))
    opened.page.evaluate(PAINTED)
    held[0].continue_()
    return opened


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_nothing_jumps_when_a_video_turns_out_to_be_of_another_shape(
    open_page: Pages, fake_api: FakeApi, site: Site, size: tuple[int, int]
) -> None:
    (fake_api.media / "tall.svg").write_text(PICTURE)
    poster = f"{fake_api.url}/media/tall.svg"
    plays: dict[str, Any] = {"playable": True, "fallback_url": poster, "poster_url": poster}
    fake_api.put(*(card(name, **plays, **PORTRAIT) for name in ("measured", "declared", "below")))
    fake_api.put(card("unmeasured", **plays))
    declared = {name: str(side) for name, side in PORTRAIT.items()}
    shown = (video("measured"), video("unmeasured"), video("declared", **declared), video("below"))
    opened = open_before_its_cards(open_page, site.show(*shown), size)
    assert shift_of(opened.page) <= SHIFT_LIMIT
    heights = {
        name: box(opened.page.locator(f"#{name} .frame"))["height"]
        for name in ("measured", "unmeasured", "declared", "below")
    }
    place = box(opened.page.locator("#measured"))["width"] * 9 / 16
    assert heights["measured"] == heights["unmeasured"] == pytest.approx(place, abs=1)
    assert heights["declared"] > 2 * place
    if size == PHONE:
        # The viewer has not seen that element yet.
        assert heights["below"] == heights["declared"]
