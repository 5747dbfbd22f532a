"""The composer on a site of another origin."""

import shutil
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from playwright.sync_api import Dialog, Locator, Page, Route, expect

from tests.browser.conftest import Opened, Pages, wait_until
from tests.browser.fake_api import TOKEN, asset, post_id, running_fake_api
from tests.browser.fake_uploads import FakeUploads
from tests.browser.live import choose
from tests.browser.site import POLICY
from tests.browser.test_playback import SAMPLE

CREATE = "**/api/video-assets/create"
QUOTA = (HTTPStatus.TOO_MANY_REQUESTS, "quota_exceeded", "An owner may register 3 videos a day.")
NO_VIDEO = (HTTPStatus.UNPROCESSABLE_ENTITY, "unsupported_media", "This file is not a video.")
WATCH_EVENTS = """
window.told = [];
for (const name of ["publish", "paused", "created", "failed", "cancelled"])
  addEventListener(name, ({ detail }) => told.push({ name, ...detail }));
"""

Compose = Callable[..., Opened]


@pytest.fixture
def uploads(tmp_path: Path, open_page: Pages) -> Iterator[FakeUploads]:
    """Add uploads to the fake API."""
    uploads = FakeUploads()
    with running_fake_api(tmp_path / "media", uploads.routes):
        yield uploads
        open_page.close()


@pytest.fixture
def compose(uploads: FakeUploads, open_page: Pages) -> Compose:
    """Open a page with a composer; ``script`` runs before the composer."""

    def opened(script: str = "", **attributes: str) -> Opened:
        api = uploads.api
        written = "".join(f' {name.replace("_", "-")}="{attributes[name]}"' for name in attributes)
        api.site_policy = POLICY.format(api=api.url, media=api.url)
        api.site_page = (
            '<!doctype html><html lang="en"><head><title>New video</title>'
            f'<script type="module" src="{api.url}/web/khronika-composer.js"></script></head>'
            f'<body><main><h1>New video</h1><khronika-composer token="{TOKEN}"{written}>'
            "</khronika-composer></main></body></html>"
        )
        opened = open_page("about:blank")
        opened.page.add_init_script(WATCH_EVENTS + script)
        opened.page.goto(f"{api.url.replace('127.0.0.1', 'localhost')}/site")
        return opened

    return opened


def publish(opened: Opened) -> Locator:
    composer = choose(opened.page, SAMPLE)
    composer.get_by_role("button", name="Publish").click()
    return composer


def expect_state(opened: Opened, state: str) -> None:
    expect(opened.page.locator("khronika-composer")).to_have_attribute("data-state", state)


def told(opened: Opened, name: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = opened.page.evaluate("told")
    return [event for event in events if event["name"] == name]


def is_remembered(opened: Opened) -> bool:
    return bool(opened.page.evaluate("localStorage.length"))


def percent(opened: Opened) -> int:
    return int(opened.page.locator("khronika-composer .progress").evaluate("(bar) => bar.value"))


def test_a_used_up_quota_is_reported_at_once_and_arrived_parts_are_kept(
    compose: Compose, uploads: FakeUploads
) -> None:
    uploads.refusals["create"] = QUOTA
    opened = compose()
    opened.expect("429")
    composer = publish(opened)
    expect_state(opened, "failed")
    expect(composer.get_by_role("alert")).to_have_text(QUOTA[2])
    assert [event["final"] for event in told(opened, "failed")] == [False]
    assert opened.accessibility() == []
    uploads.refusals.clear()
    composer.get_by_role("button", name="Try again").click()
    expect_state(opened, "done")
    assert sorted(uploads.sent) == [1, 2, 3, 4]


def test_an_upload_refused_for_good_is_abandoned_and_not_offered_again(
    compose: Compose, uploads: FakeUploads
) -> None:
    uploads.refusals["complete"] = NO_VIDEO
    opened = compose()
    opened.expect("422")
    composer = publish(opened)
    expect_state(opened, "failed")
    expect(composer.get_by_role("button", name="Try again")).to_be_hidden()
    (published,), (failed,) = told(opened, "publish"), told(opened, "failed")
    assert (failed["final"], failed["post_id"]) == (True, published["post_id"])
    wait_until(opened.page, lambda: not uploads.known)
    assert not is_remembered(opened)


def test_a_refusal_before_there_is_a_ticket_names_no_post(
    compose: Compose, uploads: FakeUploads
) -> None:
    opened = compose()
    opened.expect("422")
    composer = publish(opened)
    expect_state(opened, "done")
    composer.get_by_role("button", name="Choose another").click()
    uploads.refusals["uploads"] = NO_VIDEO
    publish(opened)
    expect_state(opened, "failed")
    assert [event["post_id"] for event in told(opened, "failed")] == [""]


def test_an_upload_cannot_be_cancelled_during_registration(
    compose: Compose, uploads: FakeUploads
) -> None:
    opened = compose()
    held = Queue[Route]()
    opened.page.route(CREATE, held.put)
    composer = publish(opened)
    wait_until(opened.page, lambda: not held.empty())
    expect(composer.locator(".status")).to_contain_text("Checking")
    for name in ("Cancel", "Pause"):
        expect(composer.get_by_role("button", name=name)).to_be_hidden()
    assert opened.page.evaluate("document.activeElement.localName") == "khronika-composer"
    held.get().continue_()
    expect_state(opened, "done")
    assert told(opened, "created")[0]["id"] == uploads.created[0]["upload_id"]


@pytest.mark.parametrize("is_its_own", [True, False])
def test_cancelling_deletes_a_video_whose_registration_was_not_answered(
    compose: Compose, uploads: FakeUploads, *, is_its_own: bool
) -> None:
    videos = uploads.api.assets
    opened = compose(post_id=post_id("one").replace("-", "").upper())  # read as the API reads it
    opened.expect("ERR_FAILED|409")
    opened.page.route(CREATE, _lose_the_answer)
    opened.page.on("dialog", Dialog.accept)
    publish(opened)
    expect(opened.page.locator("khronika-composer .status")).to_contain_text("keep trying")
    if not is_its_own:
        uploads.api.put(asset("one"))
    opened.page.reload()
    with opened.page.expect_response(lambda answer: answer.status == HTTPStatus.CONFLICT):
        opened.page.get_by_role("button", name="Discard that upload").click()
    wait_until(opened.page, lambda: bool(told(opened, "cancelled")))
    assert list(videos) == ([] if is_its_own else [post_id("one")])
    assert told(opened, "cancelled")[0]["post_id"] == post_id("one")
    assert not is_remembered(opened)


def test_a_video_whose_registration_was_not_answered_stays_although_another_poster_is_picked(
    compose: Compose, uploads: FakeUploads
) -> None:
    opened = compose()
    opened.expect("ERR_FAILED")
    opened.page.route(CREATE, _lose_the_answer, times=1)
    opened.page.on("dialog", Dialog.accept)
    publish(opened)
    wait_until(opened.page, lambda: bool(uploads.created))
    opened.page.reload()
    composer = choose(opened.page, SAMPLE)
    composer.get_by_role("slider").fill("2.5")
    composer.get_by_role("button", name="Resume the upload").click()
    expect_state(opened, "done")
    assert len(uploads.api.assets) == 1


def _lose_the_answer(route: Route) -> None:
    route.fetch()
    route.abort()


def test_a_paused_upload_keeps_its_parts_and_shows_its_progress(
    compose: Compose, uploads: FakeUploads
) -> None:
    uploads.held = {3, 4}
    opened = compose()
    composer = publish(opened)
    wait_until(opened.page, lambda: sorted(uploads.sent) == [1, 2] and percent(opened) == 100)
    composer.get_by_role("button", name="Pause").click()
    expect_state(opened, "paused")
    assert percent(opened) == 100
    assert len(told(opened, "paused")) == 1
    assert opened.accessibility() == []
    opened.screenshot("paused")
    uploads.held = set()
    composer.get_by_role("button", name="Resume").click()
    expect_state(opened, "done")
    assert sorted(uploads.sent) == [1, 2, 3, 4]


def test_the_slider_shows_the_previewed_second_but_picks_no_poster(
    compose: Compose, uploads: FakeUploads
) -> None:
    opened = compose()
    composer = choose(opened.page, SAMPLE)
    slider = composer.get_by_role("slider")
    expect(composer.locator("label")).to_contain_text("Preview")
    assert float(slider.input_value()) == _shown_sec(composer) > 0
    composer.get_by_role("button", name="Publish").click()
    expect_state(opened, "done")
    assert uploads.created[0]["poster_time_sec"] is None


def test_a_picked_poster_is_labelled_and_survives_a_reload(
    compose: Compose, uploads: FakeUploads
) -> None:
    uploads.held = {4}
    opened = compose()
    opened.page.on("dialog", Dialog.accept)
    composer = choose(opened.page, SAMPLE)
    composer.get_by_role("slider").fill("2.5")
    expect(composer.locator("label")).to_have_text("Cover picture")
    composer.get_by_role("button", name="Publish").click()
    wait_until(opened.page, lambda: sorted(uploads.sent) == [1, 2, 3])
    opened.page.reload()
    uploads.held = set()
    composer = choose(opened.page, SAMPLE)
    expect(composer.locator("label")).to_have_text("Cover picture")
    assert composer.get_by_role("slider").input_value() == "2.5"
    assert _shown_sec(composer) == 2.5
    composer.get_by_role("slider").fill("3.5")
    composer.get_by_role("button", name="Resume the upload").click()
    expect_state(opened, "done")
    assert uploads.created[0]["poster_time_sec"] == 3.5
    assert [event["poster_time_sec"] for event in told(opened, "publish")] == [3.5]


def _shown_sec(composer: Locator) -> float:
    return float(composer.locator("video").evaluate("(video) => video.currentTime"))


def test_it_publishes_on_an_insecure_origin(compose: Compose, uploads: FakeUploads) -> None:
    opened = compose("delete Crypto.prototype.randomUUID;")
    publish(opened)
    expect_state(opened, "done")
    assert len(uploads.created) == 1


def test_a_failure_before_the_first_byte_is_shown(compose: Compose) -> None:
    opened = compose("delete Crypto.prototype.getRandomValues;")
    opened.expect("getRandomValues")
    composer = publish(opened)
    expect_state(opened, "failed")
    expect(composer.get_by_role("alert")).to_contain_text("could not be uploaded")


def test_a_file_is_dropped_or_chosen_one_at_a_time(compose: Compose, uploads: FakeUploads) -> None:
    shutil.copy(SAMPLE, uploads.api.media / "dropped.mp4")
    opened = compose()
    _drop(opened.page, uploads, copies=2)
    expect(opened.page.get_by_role("alert")).to_contain_text("one video at a time")
    _drop(opened.page, uploads, copies=1)
    expect_state(opened, "ready")
    expect(opened.page.locator("khronika-composer .name")).to_have_text("dropped.mp4")


def _drop(page: Page, uploads: FakeUploads, *, copies: int) -> None:
    transfer = page.evaluate_handle(
        """async ([url, copies]) => {
            const content = await (await fetch(url)).blob();
            const transfer = new DataTransfer();
            for (let copy = 0; copy < copies; copy += 1)
                transfer.items.add(new File([content], "dropped.mp4", { type: "video/mp4" }));
            return transfer;
        }""",
        [f"{uploads.api.url}/media/dropped.mp4", copies],
    )
    box = page.locator("khronika-composer .box")
    box.dispatch_event("dragover", {"dataTransfer": transfer})
    expect(box).to_contain_class("over")
    box.dispatch_event("drop", {"dataTransfer": transfer})
    expect(box).not_to_contain_class("over")


def test_a_too_long_video_is_refused_before_it_is_sent(
    compose: Compose, uploads: FakeUploads
) -> None:
    opened = compose(max_duration="3")
    opened.page.locator("khronika-composer input[type=file]").set_input_files(SAMPLE)
    expect(opened.page.get_by_role("alert")).to_contain_text("longer than the limit of 0:03")
    expect_state(opened, "empty")
    assert not uploads.known
