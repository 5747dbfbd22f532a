"""The card of one video over the real API and database, through all its states, live."""

from collections.abc import Iterator, Mapping

import pytest
from playwright.sync_api import Locator, Route, expect

from pipeline.domain.failures import failure_of
from pipeline.domain.states import Status
from pipeline.records.clock import from_now
from tests.browser.conftest import DESKTOP, PHONE, Opened, Pages
from tests.integration.api.conftest import Client, World, environment, serving, token, world

__all__ = ["environment", "world"]


@pytest.fixture
def api(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, open_page: Pages
) -> Iterator[Client]:
    with serving(monkeypatch) as api:
        yield api
        open_page.close()


def show(open_page: Pages, api: Client, post_id: str, size: tuple[int, int]) -> Opened:
    """Return the owner's page, on the API's own origin."""
    page = f"""<!doctype html><html lang="en"><title>A post</title>
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <script type="module" src="{api.url}/web/khronika-video.js"></script>
        <main><h1>A post</h1>
        <khronika-video post-id="{post_id}" owner token="{token()}"></khronika-video></main>"""
    opened = open_page("about:blank", size)

    def answer(route: Route) -> None:
        route.fulfill(body=page, content_type="text/html; charset=utf-8")

    opened.page.route(f"{api.url}/a-post", answer)
    opened.page.goto(f"{api.url}/a-post")
    return opened


def hold_to(opened: Opened, state: str, words: str) -> None:
    """Expect these words, completely inside the frame, and no accessibility violation."""
    element: Locator = opened.page.locator("khronika-video")
    expect(element).to_have_attribute("data-state", state)
    expect(element.locator(".panel")).to_contain_text(words)
    frame, panel = element.bounding_box(), element.locator(".panel").bounding_box()
    assert frame is not None
    assert panel is not None
    assert frame["y"] <= panel["y"]
    assert panel["y"] + panel["height"] <= frame["y"] + frame["height"]
    assert opened.accessibility() == []
    opened.screenshot(f"{state}-{opened.page.viewport_size}")


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_card_follows_a_videos_rows_from_state_to_state(
    open_page: Pages, api: Client, world: World, size: tuple[int, int]
) -> None:
    asset = api.create().json()
    id_ = asset["id"]
    opened = show(open_page, api, asset["post_id"], size)
    hold_to(opened, "queued", "in the queue")

    world.amend(id_, hold_reason="provider_down", next_attempt_at=from_now(600))
    hold_to(opened, "queued", "Nothing is lost")

    world.move(id_, Status.PROCESSING, hold_reason=None, next_attempt_at=None, attempt=1)
    hold_to(opened, "processing", "Checking your video")

    world.amend(id_, provider_job_id="job-1", progress=62.0, progress_at=from_now(0))
    hold_to(opened, "processing", "62%")

    world.move(
        id_,
        Status.RETRYING,
        failures=1,
        progress=None,
        next_attempt_at=from_now(600),
        error_code="encode_failed",
        error_message=failure_of("encode_failed").message,
    )
    hold_to(opened, "retrying", "goes on by itself")

    world.move(
        id_, Status.FAILED, error_code="expired", error_message=failure_of("expired").message
    )
    hold_to(opened, "failed", failure_of("expired").sentence)

    opened.page.get_by_role("button", name="Retry").click()
    hold_to(opened, "queued", "will be tried again")

    opened.expect("poster.jpg")  # of rows alone no picture was made
    world.complete(id_)
    expect(opened.page.locator("khronika-video")).to_have_attribute("data-state", "ready")
    expect(opened.page.get_by_role("button", name="Play")).to_be_visible()
