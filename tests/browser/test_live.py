"""The updates of a page's elements, and their request for a retry."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.browser.conftest import STEP_MS, Opened, Pages, wait_until
from tests.browser.fake_api import (
    LONG_AGO,
    TOKEN,
    UNVERIFIED,
    FakeApi,
    asset,
    card,
    later,
    post_id,
)
from tests.browser.site import Site, video

CARDS = "GET /api/video-assets"
STREAM = "GET /api/video-assets/stream"
TICKETS = "POST /api/stream-tickets"
RETRY = "POST /api/video-assets/retry"
POLL_DELAY_MS = 3000
"""The shortest time between two polls."""

FAILED: dict[str, Any] = {
    "error_code": "expired",
    "error_message": "Processing did not finish in time.",
    "retryable": True,
}


def hide(opened: Opened, *, hidden: bool) -> None:
    """Hide or show the page, as a browser does for another tab."""
    opened.page.evaluate(
        """(hidden) => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_a_page_has_one_request_for_its_cards_and_one_stream_for_unfinished_videos(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    fake_api.put(card("one", "queued"), card("two", "processing"), card("old", "failed"))
    opened = open_page(site.show(video("one"), video("two"), video("old"), video("one")))
    wait_until(opened.page, lambda: len(fake_api.open_streams) == 1)
    assert fake_api.asked[CARDS] == 1
    assert fake_api.stream_queries == [{"post_ids": f"{post_id('one')},{post_id('two')}"}]
    fake_api.send("asset", card("one", "processing", updated_at=later(1), progress=40.0))
    fake_api.send("gone", {"post_id": post_id("two")})
    expect(opened.page.locator("#one").first).to_have_attribute("data-state", "processing")
    expect(opened.page.locator("#one").last).to_have_attribute("data-state", "processing")
    expect(opened.page.locator("#two")).to_have_attribute("data-state", "unavailable")


def test_the_stream_is_closed_when_no_video_is_unfinished(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    fake_api.put(card("one", "queued"))
    opened = open_page(site.show(video("one")))
    wait_until(opened.page, lambda: len(fake_api.open_streams) == 1)
    fake_api.send("asset", card("one", "failed", updated_at=later(1)))
    wait_until(opened.page, lambda: fake_api.open_streams == [])
    expect(opened.page.locator("#one")).to_have_attribute("data-state", "failed")


def test_a_stream_that_ends_is_resumed_where_it_ended(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    fake_api.put(card("one", "queued"))
    opened = open_page(site.show(video("one")))
    wait_until(opened.page, lambda: len(fake_api.open_streams) == 1)
    fake_api.send("asset", card("one", "queued", updated_at=later(1)))
    fake_api.end_streams()
    wait_until(opened.page, lambda: len(fake_api.last_event_ids) == 2)
    assert fake_api.last_event_ids[0] is None
    assert fake_api.last_event_ids[1] == fake_api.sent_ids[-1]


def test_with_a_token_the_stream_has_the_owners_view(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    fake_api.put(card("one", "processing"))
    opened = open_page(site.show(video("one", token=TOKEN)))
    wait_until(opened.page, lambda: len(fake_api.open_streams) == 1)
    assert fake_api.stream_queries[0]["ticket"] == "a-ticket"
    expect(opened.page.locator("#one .headline")).to_have_text("This video is being prepared")
    fake_api.send("asset", asset("one", "failed", updated_at=later(1), **FAILED))
    expect(opened.page.locator("#one .details")).to_have_text(FAILED["error_message"])


def test_a_token_may_be_given_by_a_function(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    fake_api.put(card("one", "failed"), asset("one", "failed", **FAILED))
    opened = open_page(site.show())
    opened.page.evaluate(
        """([post, token]) => {
            const element = document.createElement("khronika-video");
            element.setAttribute("post-id", post);
            element.setAttribute("owner", "");
            element.tokenProvider = async () => token;
            document.querySelector("main").append(element);
        }""",
        [post_id("one"), TOKEN],
    )
    expect(opened.page.locator(".details")).to_have_text(FAILED["error_message"])


def test_a_feed_of_own_posts_takes_one_request(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    names = [f"own-{n}" for n in range(30)]
    for name in names:
        fake_api.put(card(name, "failed"), asset(name, "failed", **FAILED))
    shown = [video(name, owner=True, token=TOKEN) for name in names]
    opened = open_page(site.show(*shown))
    for name in names:
        expect(opened.page.locator(f"#{name} .details")).to_have_text(FAILED["error_message"])
    asked = {route for route in fake_api.asked if route.startswith("GET /api/")}
    assert (asked, fake_api.asked[CARDS]) == ({CARDS}, 1)


EXPIRED = "() => 'a token of yesterday'"
UNKNOWN = f"() => '{UNVERIFIED}'"
BROKEN = "async () => { throw new Error('signed out'); }"


@pytest.mark.parametrize("provider", [EXPIRED, UNKNOWN, BROKEN])
def test_a_viewer_with_a_refused_token_sees_and_follows_as_a_visitor(
    open_page: Pages, fake_api: FakeApi, site: Site, provider: str
) -> None:
    fake_api.put(card("own", "failed"), asset("own", "failed", **FAILED), card("one", "queued"))
    opened = open_page(site.show())
    opened.expect("401|503")
    opened.page.evaluate(
        f"""(elements) => {{
            const main = document.querySelector("main");
            main.innerHTML = elements;
            main.querySelector("#own").tokenProvider = {provider};
        }}""",
        video("own", owner=True) + video("one"),
    )
    expect(opened.page.locator("#own")).to_have_attribute("data-state", "failed")
    wait_until(opened.page, lambda: len(fake_api.open_streams) == 1)
    fake_api.send("asset", card("one", "processing", updated_at=later(1)))
    expect(opened.page.locator("#one")).to_have_attribute("data-state", "processing")
    assert "ticket" not in fake_api.stream_queries[-1]


def test_without_a_free_stream_the_cards_are_polled(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    fake_api.streams = False
    fake_api.put(card("one", "queued"))
    opened = open_page(site.show(video("one")))
    opened.expect("503")
    expect(opened.page.locator("#one")).to_have_attribute("data-state", "queued")
    wait_until(opened.page, lambda: fake_api.conditional > 0)
    fake_api.put(card("one", "failed", updated_at=later(1)))
    expect(opened.page.locator("#one")).to_have_attribute("data-state", "failed")
    assert fake_api.asked[STREAM] == 1


def test_a_retry_after_is_obeyed(open_page: Pages, fake_api: FakeApi, site: Site) -> None:
    fake_api.refusal = (429, {"Retry-After": "3600"})
    opened = open_page(site.show(video("one")), has_clock=True)
    opened.expect("429")
    wait_until(opened.page, lambda: fake_api.asked[CARDS] == 1)
    opened.page.clock.fast_forward(3_000_000)
    # A request that it caused would have arrived before this one.
    opened.page.evaluate(
        "(url) => fetch(url).then((answer) => answer.ok)", f"{fake_api.url}/favicon.ico"
    )
    assert fake_api.asked[CARDS] == 1
    opened.page.clock.fast_forward(1_500_000)
    wait_until(opened.page, lambda: fake_api.asked[CARDS] == 2)


def test_an_unreachable_api_is_reported_and_polled_further(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    fake_api.refusal = (500, {})
    opened = open_page(site.show(video("one")))
    opened.expect("500")
    element = opened.page.locator("#one")
    expect(element).to_have_attribute("data-state", "unavailable")
    expect(element.locator(".headline")).to_contain_text("We keep trying")
    fake_api.put(card("one", "queued"))
    fake_api.refusal = None
    expect(element).to_have_attribute("data-state", "queued")


def test_a_hidden_page_sends_no_request_until_it_is_visible_again(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    fake_api.put(card("one", "queued"))
    opened = open_page(site.show(video("one")))
    wait_until(opened.page, lambda: len(fake_api.open_streams) == 1)
    hide(opened, hidden=True)
    wait_until(opened.page, lambda: fake_api.open_streams == [])
    asked = fake_api.asked[CARDS]
    fake_api.put(card("one", "failed", updated_at=later(1)))
    assert fake_api.asked[CARDS] == asked
    hide(opened, hidden=False)
    expect(opened.page.locator("#one")).to_have_attribute("data-state", "failed")


def test_an_outdated_card_changes_nothing(open_page: Pages, fake_api: FakeApi, site: Site) -> None:
    fake_api.put(card("one", "queued"), card("two", "queued"))
    opened = open_page(site.show(video("one"), video("two")))
    wait_until(opened.page, lambda: len(fake_api.open_streams) == 1)
    fake_api.send("asset", card("one", "processing", updated_at=LONG_AGO))
    fake_api.send("asset", card("two", "processing", updated_at=later(1)))
    expect(opened.page.locator("#two")).to_have_attribute("data-state", "processing")
    expect(opened.page.locator("#one")).to_have_attribute("data-state", "queued")


def test_an_outdated_card_of_a_replaced_video_changes_nothing(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    fake_api.put(card("one", "queued"), card("two", "queued"))
    opened = open_page(site.show(video("one"), video("two")))
    wait_until(opened.page, lambda: len(fake_api.open_streams) == 1)
    deleted = card("one", "failed", asset_id=uuid4(), updated_at=LONG_AGO)
    newer = card("two", "processing", asset_id=uuid4(), updated_at=later(1))
    fake_api.send("asset", deleted)
    fake_api.send("asset", newer)
    expect(opened.page.locator("#two")).to_have_attribute("data-state", "processing")
    expect(opened.page.locator("#one")).to_have_attribute("data-state", "queued")


def open_failed(open_page: Pages, api: FakeApi, site: Site) -> Opened:
    api.put(card("one", "failed"), asset("one", "failed", **FAILED))
    opened = open_page(site.show(video("one", owner=True, token=TOKEN)))
    expect(opened.page.get_by_role("button", name="Retry")).to_be_visible()
    return opened


def test_the_owner_retries_a_failed_video(open_page: Pages, fake_api: FakeApi, site: Site) -> None:
    opened = open_failed(open_page, fake_api, site)
    opened.page.get_by_role("button", name="Retry").click()
    expect(opened.page.locator("#one")).to_have_attribute("data-state", "queued")
    expect(opened.page.locator("#one .details")).to_contain_text("will be tried again")
    assert fake_api.asked[RETRY] == 1


def test_a_retry_that_came_too_late_shows_the_current_state(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    opened = open_failed(open_page, fake_api, site)
    opened.expect("409")
    fake_api.retry = (409, {"code": "not_failed"}, {})
    fake_api.put(
        card("one", "processing", updated_at=later(1)),
        asset("one", "processing", step="verifying", updated_at=later(1)),
    )
    opened.page.get_by_role("button", name="Retry").click()
    expect(opened.page.locator("#one")).to_have_attribute("data-state", "processing")
    expect(opened.page.locator("#one .headline")).to_have_text("Checking your video")


def test_a_retry_that_comes_too_soon_tells_the_earliest_time(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    opened = open_failed(open_page, fake_api, site)
    opened.expect("429")
    fake_api.retry = (429, {"code": "rate_limited"}, {"Retry-After": "120"})
    opened.page.get_by_role("button", name="Retry").click()
    expect(opened.page.locator("#one .details")).to_contain_text("You can try again in 2 minutes.")


def test_a_change_is_announced_once_and_the_first_state_is_not(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    fake_api.put(card("one", "processing", progress=10.0))
    opened = open_page(site.show(video("one")))
    said = opened.page.locator("#one").get_by_role("status")
    wait_until(opened.page, lambda: len(fake_api.open_streams) == 1)
    expect(said).to_have_text("")
    fake_api.send("asset", card("one", "processing", progress=12.0, updated_at=later(1)))
    expect(opened.page.locator("#one .details")).to_have_text("12%")
    expect(said).to_have_text("")
    fake_api.send("asset", card("one", "processing", progress=60.0, updated_at=later(2)))
    expect(said).to_have_text("This video is being prepared 60%")


def test_a_page_that_has_the_card_sends_no_request(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    opened = open_page(site.show())
    opened.page.evaluate(
        """(card) => {
            const element = document.createElement("khronika-video");
            element.setAttribute("post-id", card.post_id);
            element.card = card;
            document.querySelector("main").append(element);
        }""",
        card("one", "failed"),
    )
    expect(opened.page.locator("khronika-video")).to_have_attribute("data-state", "failed")
    assert fake_api.asked[CARDS] == 0


def add_own(opened: Opened) -> Locator:
    """Add an owner's element for a post whose video is not registered yet."""
    opened.page.evaluate(
        """([post, token]) => {
            window.states = [];
            addEventListener("khronika-statechange", ({ detail }) => states.push(detail.state));
            const element = document.createElement("khronika-video");
            element.setAttribute("post-id", post);
            element.setAttribute("owner", "");
            element.tokenProvider = () => token;
            document.querySelector("main").append(element);
        }""",
        [post_id("one"), TOKEN],
    )
    return opened.page.locator("khronika-video")


def test_a_visitor_who_waits_for_a_video_sees_it_arrive(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    opened = open_page(site.show(video("one", pending_until=later(3600))))
    element = opened.page.locator("#one")
    expect(element).to_have_attribute("data-state", "uploading")
    wait_until(opened.page, lambda: len(fake_api.open_streams) == 1)
    fake_api.send("gone", {"post_id": post_id("one")})
    fake_api.send("asset", card("one", "queued"))
    expect(element).to_have_attribute("data-state", "queued")
    fake_api.send("gone", {"post_id": post_id("one")})
    expect(element).to_have_attribute("data-state", "unavailable")
    wait_until(opened.page, lambda: fake_api.open_streams == [])


def test_a_visitor_waits_no_longer_for_a_video_than_the_site_says(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    opened = open_page(site.show(video("one", pending_until=later(3600))), has_clock=True)
    wait_until(opened.page, lambda: len(fake_api.open_streams) == 1)
    opened.page.clock.fast_forward(7_300_000)
    expect(opened.page.locator("#one")).to_have_attribute("data-state", "unavailable")
    wait_until(opened.page, lambda: fake_api.open_streams == [])


def hold(opened: Opened, address: str) -> list[Route]:
    """Hold the next request to this address until the test releases it."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    opened.page.route(address, keep, times=1)
    return held


def test_an_answer_from_before_a_video_was_registered_does_not_hide_it(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    opened = open_page(site.show())
    held = hold(opened, "**/api/video-assets?*")
    element = add_own(opened)
    wait_until(opened.page, lambda: len(held) == 1)
    registered = asset("one", "queued")
    fake_api.put(registered)
    element.evaluate("(it, card) => { it.card = card; }", registered)
    held[0].fulfill(json={"assets": []}, headers={"Access-Control-Allow-Origin": "*"})
    wait_until(opened.page, lambda: len(fake_api.open_streams) == 1)
    assert opened.page.evaluate("states") == ["loading", "queued"]


def test_a_video_registered_while_a_ticket_was_requested_is_followed_at_once(
    open_page: Pages, fake_api: FakeApi, site: Site
) -> None:
    opened = open_page(site.show(), has_clock=True)
    held = hold(opened, "**/api/stream-tickets")
    # From here on time stands still, unless the test advances it: by less than any poll's delay.
    opened.page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=1))
    element = add_own(opened)
    opened.page.clock.run_for(100)
    wait_until(opened.page, lambda: len(held) == 1)
    registered = asset("one", "queued")
    fake_api.put(registered)
    element.evaluate("(it, card) => { it.card = card; }", registered)
    held[0].continue_()
    for _ in range(POLL_DELAY_MS // 2 // STEP_MS):
        if fake_api.open_streams:
            break
        opened.page.clock.run_for(STEP_MS)
        opened.page.wait_for_timeout(STEP_MS)
    assert len(fake_api.open_streams) == 1
