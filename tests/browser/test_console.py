"""The operators' console in a real browser with the real API, on a phone and a desktop."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from pipeline.content.object_urls import key_of
from pipeline.records.models import ProviderAccount
from tests.browser.conftest import DESKTOP, PHONE, Opened, Pages, smallest_side
from tests.integration.api.conftest import (
    Client,
    World,
    environment,
    serving,
    token,
    world,
)

__all__ = ["environment", "world"]

THUMB_PX = 24
"""WCAG 2.2, 2.5.8; links within a sentence are exempt."""

LOOKS = {
    "phone-light": (PHONE, "light"),
    "desktop-dark": (DESKTOP, "dark"),
}


@pytest.fixture
def console(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, open_page: Pages
) -> Iterator[Client]:
    with serving(monkeypatch) as api:
        yield api
        open_page.close()


@pytest.fixture
def failed(console: Client, world: World) -> str:
    """Store a failed video and one row of each other kind that the pages show."""
    asset_id = ""
    for code in ("source_timeout", "encode_failed", "expired"):
        asset_id = console.create(title=f"A walk in Tusheti, {code}").json()["id"]
        world.fail(asset_id, code)
    return asset_id


def sign_in(opened: Opened) -> None:
    """Sign in with a token, through the form."""
    opened.page.get_by_label("Operator's token or key").fill(token("ops", role="service_role"))
    opened.page.get_by_role("button", name="Sign in").click()
    expect(opened.page.get_by_role("button", name="Sign out")).to_be_visible()


def hold_to_what_pages_owe(opened: Opened, size: tuple[int, int], path: str) -> None:
    assert opened.accessibility() == [], path
    width = opened.page.evaluate("document.documentElement.scrollWidth")
    assert width <= size[0], path
    controls = opened.page.locator("button:visible, .button:visible, select:visible")
    assert smallest_side(controls) >= THUMB_PX, path


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_can_be_read_and_used(
    open_page: Pages, console: Client, world: World, failed: str, look: str
) -> None:
    size, scheme = LOOKS[look]
    published = console.create(title="Ushguli").json()
    publish(console, world, published["id"])
    opened = open_page(f"{console.url}/ops", size, color_scheme=scheme)
    hold_to_what_pages_owe(opened, size, "sign-in")
    sign_in(opened)
    for path in (
        "/ops",
        "/ops/failed",
        "/ops/failed/retry?all=1",
        f"/ops/assets/{failed}",
        f"/ops/assets/{failed}/delete",
        f"/ops/assets/{published['id']}",
        "/ops/inbox",
        "/ops/accounts",
        "/ops/audit",
        "/ops/search?q=none",
        "/ops/nowhere",
    ):
        if path in ("/ops/search?q=none", "/ops/nowhere"):
            opened.expect("404")
        opened.page.goto(console.url + path)
        opened.screenshot(path.strip("/").replace("/", "-").partition("?")[0])
        hold_to_what_pages_owe(opened, size, path)


def publish(console: Client, world: World, asset_id: str) -> None:
    """Publish a video with a poster; these tests do not play it."""
    asset = world.complete(asset_id)
    root = Path(str(console.services.settings.storage.url).removeprefix("file://"))
    poster = root / (key_of(asset.poster_url or "") or "")
    poster.parent.mkdir(parents=True)
    poster.write_bytes(
        (Path(__file__).parents[2] / "docs/evidence/1-success-url-poster.jpg").read_bytes()
    )
    world.amend(asset_id, thumbnail_url=asset.poster_url)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_failed_videos_are_ticked_previewed_and_retried(
    open_page: Pages, console: Client, world: World, failed: str, *, scripts: bool
) -> None:
    opened = open_page(f"{console.url}/ops/failed", PHONE, java_script_enabled=scripts)
    sign_in(opened)
    page = opened.page
    page.get_by_label("Tick A walk in Tusheti, expired").check()
    page.get_by_role("button", name="Retry the ticked").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Retry 1 failed video?")
    page.get_by_role("button", name="Retry it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Done")
    page.get_by_role("link", name="To the failed list").click()
    page.get_by_role("button", name="Retry all 2 that match").click()
    page.get_by_role("button", name="Retry them all").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Done")
    assert {each.status.value for each in everything(console, world)} == {"queued"}


def everything(console: Client, world: World) -> list[Any]:
    listed = console.operator("GET", "/api/video-assets?status=queued").json()["assets"]
    assert len(listed) == 3
    return [world.asset(each["id"]) for each in listed]


def test_the_figures_refresh_by_themselves_while_the_page_is_visible(
    open_page: Pages, console: Client, world: World, failed: str
) -> None:
    opened = open_page(f"{console.url}/ops/assets/{failed}", DESKTOP)
    sign_in(opened)
    state = opened.page.locator(".state")
    expect(state).to_have_text("failed")
    mark(opened.page)
    post_id = str(world.asset(failed).post_id)
    console.post("/api/video-assets/retry", {"post_id": post_id})
    expect(state).to_have_text("queued")
    expect(opened.page.locator(".timeline strong").last).to_have_text("retried")
    expect(opened.page.get_by_role("link", name="Cancel…")).to_be_visible()
    expect(opened.page.get_by_role("link", name="Retry…")).to_have_count(0)
    assert opened.page.evaluate("window.marked") is True


def mark(page: Page) -> None:
    """Mark the page: a page that is loaded again has no mark."""
    page.evaluate("window.marked = true")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_an_account_is_drained_and_enabled_on_a_phone(
    open_page: Pages, console: Client, world: World, *, scripts: bool
) -> None:
    opened = open_page(f"{console.url}/ops/accounts", PHONE, java_script_enabled=scripts)
    sign_in(opened)
    page = opened.page
    page.get_by_role("button", name="Drain selfhosted").click()
    expect(page.get_by_text("It gets no new jobs; those that it has go on.")).to_be_visible()
    expect(page.get_by_role("definition").filter(has_text="drain, since")).to_be_visible()
    assert world.only(ProviderAccount).state == "drain"
    if scripts:
        hold_to_what_pages_owe(opened, PHONE, "/ops/accounts")
    page.get_by_role("button", name="Enable selfhosted").click()
    expect(page.get_by_role("button", name="Disable selfhosted")).to_be_visible()
    assert world.only(ProviderAccount).state == "enabled"


def test_an_ended_session_leads_to_the_sign_in_form(
    open_page: Pages, console: Client, failed: str
) -> None:
    opened = open_page(f"{console.url}/ops/assets/{failed}", DESKTOP)
    sign_in(opened)
    opened.page.context.clear_cookies()
    expect(opened.page.get_by_label("Operator's token or key")).to_be_visible()
    sign_in(opened)
    expect(opened.page).to_have_url(f"{console.url}/ops/assets/{failed}")
