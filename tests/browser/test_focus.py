"""The keyboard focus after the focused button has gone."""

from playwright.sync_api import expect

from tests.browser.conftest import Pages, focused
from tests.browser.fake_api import TOKEN, FakeApi, asset, card
from tests.browser.site import Site, video

PUBLISHED = {"playable": True, "fallback_url": "/media/none.mp4"}


def test_after_retry_the_focus_is_on_the_text_of_the_new_state(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    fake_api.put(card("one", "failed"), asset("one", "failed", retryable=True))
    opened = open_page(site.show(video("one", owner=True, token=TOKEN)))
    opened.page.locator("#one").get_by_role("button", name="Retry").press("Enter")
    expect(opened.page.locator("#one")).to_have_attribute("data-state", "queued")
    assert focused(opened.page) == "panel"


def test_after_a_note_is_dismissed_the_focus_is_on_the_play_button(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    fake_api.put(card("one", "processing", source="original", **PUBLISHED))
    opened = open_page(site.show(video("one")))
    opened.page.locator("#one").get_by_role("button", name="Dismiss").press("Enter")
    expect(opened.page.locator("#one .panel")).to_be_hidden()
    assert focused(opened.page) == "play"


def test_the_focus_stays_when_something_else_changes(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    fake_api.put(card("one", "failed"), asset("one", "failed", retryable=True))
    fake_api.retry = (429, {}, {"Retry-After": "60"})
    opened = open_page(site.show(video("one", owner=True, token=TOKEN), "<button>Else</button>"))
    opened.expect("429")
    element = opened.page.locator("#one")
    element.get_by_role("button", name="Retry").press("Enter")
    expect(element.locator(".details")).to_contain_text("again in")
    assert focused(opened.page) == "action"
    opened.page.get_by_text("Else").focus()
    fake_api.retry = None
    element.locator(".action").evaluate("(button) => button.click()")
    expect(element).to_have_attribute("data-state", "queued")
    assert focused(opened.page) == ""
