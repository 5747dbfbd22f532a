"""Pictures of pages for the docs, taken by the system's Chromium, small enough for a repository."""

import shutil
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import product

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import ARGUMENTS, BROWSERS, PATIENCE_MS

LIMIT_BYTES = 60 * 1024
QUALITIES = (80, 60, 45, 30)
"""The first quality whose picture fits is taken."""

TALLEST_PX = (1600, 800)
"""The heights at which a picture ends; the second is for pages with much small print."""


BOX = """element => {
  const box = element.getBoundingClientRect();
  const { width, height } = box;
  return { x: box.x + scrollX, y: box.y + scrollY, width, height: Math.max(height, 1) };
}"""


class TooLarge(Exception):
    """A picture that does not fit even at the least quality. The message names its size."""


@dataclass(frozen=True)
class Camera:
    """A browser that opens pages and takes pictures of them."""

    browser: Browser

    @contextmanager
    def page(self, size: tuple[int, int], scheme: str = "light") -> Iterator[Page]:
        """Open a page with its own cookies and storage, and close it afterwards.

        Args:
            size: Width and height in CSS pixels.
            scheme: ``light`` or ``dark``.
        """
        width, height = size
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE_MS)
        with closing(context):
            yield context.new_page()


@contextmanager
def open_camera() -> Iterator[Camera | None]:
    """Open a camera; None if there is no Chromium on PATH."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        yield None
        return
    with (
        sync_playwright() as playwright,
        closing(
            playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        ) as browser,
    ):
        yield Camera(browser)


def picture_of(page: Page, selector: str | None = None) -> bytes:
    """Take a WebP of the page, or of the element that the selector finds.

    Raises:
        TooLarge: it does not fit into `LIMIT_BYTES`.
    """
    wanted = selector or "html"
    page.locator(wanted).scroll_into_view_if_needed()
    box = page.locator(wanted).evaluate(BOX)
    # Playwright makes no WebP, whose files are half as large as JPEG.
    devtools = page.context.new_cdp_session(page)
    size = 0
    for tallest, quality in product(TALLEST_PX, QUALITIES):
        clip = {**box, "height": min(box["height"], tallest), "scale": 1}
        asked = {"format": "webp", "quality": quality, "clip": clip, "captureBeyondViewport": True}
        taken = b64decode(devtools.send("Page.captureScreenshot", asked)["data"])
        size = len(taken)
        if size <= LIMIT_BYTES:
            return taken
    raise TooLarge(f"A picture of {page.url} takes {size} bytes; {LIMIT_BYTES} are allowed.")
