"""A real browser for the tests of this folder.

A page of ``open_page`` fails its test for an error on the console, an exception, or a violation of
its security policy. Playwright's driver is in the lock. The browser is the system's, because
Playwright's own browsers are no packages.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    FloatRect,
    Locator,
    Page,
    expect,
    sync_playwright,
)

from tests.browser.fake_api import FakeApi, running_fake_api
from tests.browser.site import Site

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
UNUSED_FEATURES = (
    # Pages of Chromium's own: suggestions of the address bar, which no test sees. Each new window
    # loads two of them in a process of its own. The fourth keeps an empty process in reserve.
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    "SpareRendererForSitePerProcess",
    # Playwright's own list, which ours replaces.
    "AimEnabled",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
)
"""Features of Chromium that are off: of 1.3 s of CPU time for a page they take 0.8."""
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join(UNUSED_FEATURES)}",
)
MISSING = "no Chromium on PATH: `make check-system` installs it where it can"
PATIENCE_MS = 120_000
STEP_MS = 50
CHECKOUT = Path(__file__).resolve().parents[2]
AXE = CHECKOUT / "web" / "node_modules" / "axe-core" / "axe.min.js"

NARROW = (300, 667)
PHONE = (375, 667)
DESKTOP = (1280, 800)

SHIFT_LIMIT = 0.02
WATCH_SHIFTS = """
window.shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
PAINTED = """new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(
    () => setTimeout(done))))"""
SETTLED = """() => [...document.querySelectorAll("khronika-video")].every((element) => {
  const poster = element.shadowRoot?.querySelector(".poster");
  return /uploading|playable|ready|failed|unavailable/.test(element.dataset.state)
    && (poster.hidden || poster.naturalWidth > 0);
})"""
"""True when all videos of a page are known, and their pictures have loaded."""
WATCH_POLICY = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`);
});
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Start one browser for all tests of this folder; each test has its own pages and storage."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        if os.environ.get("CI") or os.environ.get("KHRONIKA_REQUIRE_BROWSER"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        with closing(launched):
            yield launched


@dataclass
class Opened:
    """A page and its complaints: console errors, exceptions, violations of its policy.

    Attributes:
        expected: Patterns of complaints that a test provokes, such as a refused request's.
    """

    page: Page
    pictures: Path
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect(self, pattern: str) -> None:
        """Allow the complaints that match this regular expression."""
        self.expected.append(pattern)

    def screenshot(self, name: str) -> Path:
        """Save a picture of the whole page below ``KHRONIKA_SCREENSHOTS``, if that is set."""
        path = self.pictures / f"{name}.png"
        self.page.screenshot(path=path, full_page=True)
        return path

    def unexpected(self) -> list[str]:
        """Return the complaints that the test does not expect."""
        violations = [] if self.page.is_closed() else self.page.evaluate("window.violations ?? []")
        return [
            complaint
            for complaint in [*self.complaints, *violations]
            if not any(re.search(pattern, complaint) for pattern in self.expected)
        ]

    def accessibility(self) -> list[str]:
        """Return the serious and critical findings of axe-core, by rule and element."""
        self.page.evaluate(AXE.read_text())
        found: dict[str, Any] = self.page.evaluate("axe.run()")
        return [
            f"{rule['id']}: {node['target']} {node['failureSummary']}"
            for rule in found["violations"]
            if rule["impact"] in {"serious", "critical"}
            for node in rule["nodes"]
        ]


class Pages:
    """The pages of one test.

    Attributes:
        unexpected: The unexpected complaints of the closed pages.
    """

    def __init__(self, browser: Browser, pictures: Path) -> None:
        self.browser = browser
        self.pictures = pictures
        self.opened: list[Opened] = []
        self.unexpected: list[str] = []

    def __call__(
        self,
        url: str,
        size: tuple[int, int] = DESKTOP,
        *,
        has_clock: bool = False,
        **options: Any,
    ) -> Opened:
        """Open a page.

        Args:
            size: Width and height in CSS pixels.
            has_clock: The page's time is ``page.clock``, which the test can advance.
            options: Options of Playwright's ``new_context``: ``color_scheme``, ``reduced_motion``…
        """
        viewport = {"width": size[0], "height": size[1]}
        context = self.browser.new_context(viewport=viewport, **options)  # type: ignore[arg-type]
        context.add_init_script(WATCH_POLICY)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        opened = Opened(page, self.pictures)
        self.opened.append(opened)
        page.on("console", lambda message: _note(opened, message))
        page.on("pageerror", lambda error: opened.complaints.append(f"exception: {error}"))
        if has_clock:
            page.clock.install()
        page.goto(url)
        return opened

    def close(self) -> None:
        """Close all open pages. A server that they talk to does this before it stops."""
        while self.opened:
            opened = self.opened.pop()
            self.unexpected += opened.unexpected()
            opened.page.context.close()


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Pages]:
    """Open pages, and fail the test at its end if one of them has an unexpected complaint."""
    kept = os.environ.get("KHRONIKA_SCREENSHOTS")
    pages = Pages(browser, Path(kept) / request.node.name if kept else tmp_path)
    yield pages
    pages.close()
    assert pages.unexpected == []


def _note(opened: Opened, message: ConsoleMessage) -> None:
    if message.type == "error":
        opened.complaints.append(f"{message.text} ({message.location.get('url')})")


@pytest.fixture
def fake_api(tmp_path: Path, open_page: Pages) -> Iterator[FakeApi]:
    """Run an API whose answers the test sets, in documents of the real schemas."""
    with running_fake_api(tmp_path / "media") as api:
        yield api
        open_page.close()


@pytest.fixture
def site(fake_api: FakeApi) -> Site:
    """Build a site of another origin that embeds the element, under a strict policy."""
    return Site(fake_api)


def wait_until(page: Page, met: Callable[[], bool]) -> None:
    """Let the page run until the condition is true."""
    for _ in range(PATIENCE_MS // STEP_MS):
        if met():
            return
        page.wait_for_timeout(STEP_MS)
    pytest.fail("it never became so")


def box(place: Locator) -> FloatRect:
    """Return the bounding box of a visible element, in CSS pixels."""
    found = place.bounding_box()
    assert found is not None
    return found


def smallest_side(places: Locator) -> float:
    """Return the smallest width or height among these elements, in CSS pixels.

    They are measured in one look: a page that renews itself may replace them between two.
    """
    sides = places.evaluate_all(
        """(all) => all.map((element) => element.getBoundingClientRect())
            .flatMap(({ width, height }) => [width, height])"""
    )
    return float(min(sides))


def bottom(place: Locator) -> float:
    """Return the lower edge of a visible element."""
    return box(place)["y"] + box(place)["height"]


def focused(page: Page) -> str:
    """Return the class or name of the focused part of the element; empty without focus."""
    return str(
        page.evaluate(
            """() => {
                const held = document.activeElement.shadowRoot?.activeElement;
                return held?.className || held?.localName || "";
            }"""
        )
    )


def shift_of(page: Page, patience_ms: float = PATIENCE_MS) -> float:
    """Return the layout shift since ``WATCH_SHIFTS`` began, once everything has loaded."""
    page.wait_for_function(SETTLED, timeout=patience_ms)
    page.evaluate(PAINTED)
    return float(page.evaluate("window.shift"))
