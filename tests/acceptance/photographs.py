"""What a story looks like on pages: the owner's card, the console's timeline, Flower's tasks."""

from collections.abc import Iterator

from playwright.sync_api import Page

from tests.acceptance import page as markdown
from tests.acceptance.exchanges import secrets_in
from tests.acceptance.stage import Stage, Video
from tests.acceptance.telling import Picture, Story, StoryDoesNotHold, Telling
from tests.browser.camera import Camera, picture_of
from tests.browser.conftest import DESKTOP, PHONE
from tests.browser.console import open_tasks, sign_in

SITE_PATH = "/a-page-of-the-site"
"""Answered in the browser, so that the element is on a page of the API's own origin."""

CHRONICLE = "section[aria-labelledby=chronicle]"
ENDED_STATES = ("ready", "failed")

NO_BROWSER = "There was no Chromium on the machine of this run, so its pages were not photographed."


def photograph(camera: Camera | None, stage: Stage, story: Story, telling: Telling) -> None:
    """Add pictures of the story's pages to the telling; without a camera, that there are none.

    Raises:
        StoryDoesNotHold: a page shows a secret of the stack.
    """
    telling.show(markdown.heading("On pages"))
    if camera is None:
        telling.show(NO_BROWSER)
        return
    pictures = [
        *_cards(camera, stage, story, telling.videos),
        *_timelines(camera, stage, story, telling.videos),
        _tasks(camera, stage, story),
    ]
    telling.pictures += pictures
    telling.show(markdown.gallery(pictures))


def _cards(camera: Camera, stage: Stage, story: Story, videos: list[Video]) -> Iterator[Picture]:
    for number, video in enumerate(videos, start=1):
        with camera.page(PHONE) as page:
            _open_card(page, stage, video)
            content = picture_of(page, "khronika-video")
        yield Picture(f"{story.name}-card-{number}.webp", content, "The owner's card, on a phone")


def _open_card(page: Page, stage: Stage, video: Video) -> None:
    document = _site_page(stage, video)
    page.route(
        f"**{SITE_PATH}", lambda route: route.fulfill(body=document, content_type="text/html")
    )
    page.goto(f"{stage.stack.base_url}{SITE_PATH}")
    settled = ", ".join(f"khronika-video[data-state={state}]" for state in ENDED_STATES)
    page.locator(settled).wait_for()
    page.wait_for_load_state("networkidle")


def _site_page(stage: Stage, video: Video) -> str:
    token = stage.stack.token(video.owner)
    return (
        '<!doctype html><html lang="en"><body>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<script type="module" src="/web/khronika-video.js"></script>'
        f'<khronika-video owner post-id="{video.post_id}" token="{token}"></khronika-video>'
    )


def _timelines(
    camera: Camera, stage: Stage, story: Story, videos: list[Video]
) -> Iterator[Picture]:
    with camera.page(DESKTOP) as page:
        sign_in(page, stage.stack)
        for number, video in enumerate(videos, start=1):
            page.goto(f"{stage.stack.base_url}/ops/assets/{video.asset_id}")
            _refuse_secrets(page, stage)
            name = f"{story.name}-timeline-{number}.webp"
            yield Picture(
                name, picture_of(page, CHRONICLE), "Its chronicle, in the operators' console"
            )


def _tasks(camera: Camera, stage: Stage, story: Story) -> Picture:
    with camera.page(DESKTOP) as page:
        open_tasks(page, stage.stack)
        _refuse_secrets(page, stage)
        return Picture(f"{story.name}-tasks.webp", picture_of(page), "The latest tasks, in Flower")


def _refuse_secrets(page: Page, stage: Stage) -> None:
    found = secrets_in(page.inner_text("body"), stage.stack.environment)
    if found:
        raise StoryDoesNotHold(f"{page.url} would give away {', '.join(found)}.")
