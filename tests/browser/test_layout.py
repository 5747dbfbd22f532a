"""Where things are: all words within the frame, no word over a control, nothing that jumps."""

import pytest
from playwright.sync_api import expect

from pipeline.failures import FAILURES
from tests.browser.conftest import NARROW, PHONE, Pages, bottom, box
from tests.browser.fake_api import TOKEN, FakeApi, asset, card, post_id
from tests.browser.site import Site, video

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
"""What reaches out of its frame, by element."""
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
