"""Pictures of the demonstration site, the operators' console and Flower of a running stack."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from os import environ, geteuid
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

import requests
from playwright.sync_api import Page, expect
from sqlalchemy.orm import Session

from cli.client import ApiClient
from pipeline.media.tools import locate_tools
from pipeline.records import account_states
from pipeline.runtime.database import make_engine, session_of
from stack.home import Home
from tests.acceptance.stage import QUICKER
from tests.browser.camera import Camera, picture_of
from tests.browser.conftest import DESKTOP, PHONE
from tests.browser.console import open_tasks, sign_in
from tests.browser.live import NO_SERVERS_GIVEN, SETTLE_MS, Network, choose, large
from tests.running import RunningStack, running_stack_process

SIZES = {"phone": PHONE, "desktop": DESKTOP}
OWNER = "demo-ana"
NO_VIDEOS = ("/static/hills.svg", "/nothing.mp4")
"""Addresses of the site that lead to a picture and to nothing."""

ACCOUNTS = {
    "KHRONIKA_ACCOUNTS": "selfhosted,mux,cloudflare:cloudflare_stream",
    "KHRONIKA_SELFHOSTED_PRICE_ENCODED_MINUTE": "0.01",
    "KHRONIKA_MUX_TOKEN_ID": "token-of-nobody",
    "KHRONIKA_MUX_TOKEN_SECRET": "secret-of-nobody",
    "KHRONIKA_MUX_API_URL": "http://127.0.0.1:9",
    "KHRONIKA_MUX_ASSETS_PER_HOUR": "200",
    "KHRONIKA_MUX_MINUTES_PER_HOUR": "900",
    "KHRONIKA_CLOUDFLARE_ACCOUNT_ID": "0" * 32,
    "KHRONIKA_CLOUDFLARE_API_TOKEN": "token-of-nobody",
    "KHRONIKA_CLOUDFLARE_API_URL": "http://127.0.0.1:9",
}
"""Accounts beside that of our transcoder, which gets every job because it comes first."""
REFUSAL = "unauthorized; The access token has expired or was revoked"
SLOWLY_BPS = 8_000_000
PATIENCE_SEC = 120.0
LOOK_EVERY_SEC = 0.5


@dataclass(frozen=True)
class Scene:
    """A running stack with videos in several states.

    Attributes:
        ready: The asset that completed.
        file: A file whose upload takes long enough for a picture.
    """

    stack: RunningStack
    ready: dict[str, Any]
    file: Path


def take(camera: Camera, folder: Path) -> None:
    """Take a picture of every page, on a phone and on a desktop."""
    with _scene(camera) as scene:
        for width, size in SIZES.items():
            for album, show in ALBUMS.items():
                with camera.page(size) as page:
                    for name in show(page, scene):
                        (folder / f"{name}-{width}.webp").write_bytes(picture_of(page))
                print(f"screenshots: {album}, {width}", flush=True)


@contextmanager
def _scene(camera: Camera) -> Iterator[Scene]:
    with TemporaryDirectory(prefix="khronika-screenshots-") as name:
        folder = Path(name)
        if geteuid() == 0:
            folder.chmod(0o711)  # the Postgres server runs as somebody else
        file = large(folder, locate_tools(environ))
        settings = {**NO_SERVERS_GIVEN, **QUICKER, **ACCOUNTS}
        with running_stack_process(Home(folder / "stack"), settings) as stack:
            _trouble_accounts(stack)
            yield Scene(stack, _play_out(camera, stack), file)


def _trouble_accounts(stack: RunningStack) -> None:
    """Let a vendor refuse one account, and an operator drain another."""
    with _session(stack, "OPERATOR") as session:
        account_states.set_state(session, "cloudflare", "drain")
    with _session(stack, "WORKER") as session:
        account_states.record_problem(session, "mux", REFUSAL)
        account_states.pause(session, "mux", 900)


@contextmanager
def _session(stack: RunningStack, role: str) -> Iterator[Session]:
    engine = make_engine(stack.environment[f"KHRONIKA_{role}_DATABASE_URL"], pool_size=1)
    with session_of(engine) as session:
        yield session
    engine.dispose()


def _play_out(camera: Camera, stack: RunningStack) -> dict[str, Any]:
    """Let the site's example be processed and two videos fail; return the example's asset."""
    with ApiClient(stack.base_url, stack.token(OWNER)) as client:
        hopeless = [uuid4() for _ in NO_VIDEOS]
        for failing, path in zip(hopeless, NO_VIDEOS, strict=True):
            client.create(failing, source_url=f"{stack.site_url}{path}", title=path)
        with camera.page(DESKTOP) as page:
            page.goto(stack.site_url)
            video = page.locator("khronika-video[post-id]").first
            expect(video).to_have_attribute("data-state", "ready", timeout=SETTLE_MS)
            post_id = video.get_attribute("post-id")
        for failing in hopeless:
            _wait_for_failure(client, failing)
        assert post_id is not None
        answer = requests.get(
            f"{stack.base_url}/api/video-assets/{post_id}",
            headers={"Authorization": f"Bearer {stack.token(OWNER)}"},
            timeout=60,
        )
        assert answer.status_code == HTTPStatus.OK, answer.text
        return dict(answer.json())


def _wait_for_failure(client: ApiClient, post_id: UUID) -> None:
    deadline = time.monotonic() + PATIENCE_SEC
    while client.asset(post_id)["status"] != "failed":
        assert time.monotonic() < deadline, f"post {post_id} has not failed"
        time.sleep(LOOK_EVERY_SEC)


def _site(page: Page, scene: Scene) -> Iterator[str]:
    page.goto(scene.stack.site_url)
    expect(page.locator("khronika-video[post-id]").first).to_have_attribute("data-state", "ready")
    for post in page.locator("article").all():
        post.scroll_into_view_if_needed()  # pictures come when they come into view
    page.wait_for_load_state("networkidle")
    yield "site-feed"
    page.goto(f"{scene.stack.site_url}/posts/{scene.ready['post_id']}")
    page.locator("khronika-video .play").click()
    page.wait_for_function(
        "() => document.querySelector('khronika-video').shadowRoot"
        ".querySelector('video')?.currentTime > 1"
    )
    yield "site-post-playing"


def _composer(page: Page, scene: Scene) -> Iterator[str]:
    page.goto(f"{scene.stack.site_url}/compose")
    composer = page.locator("khronika-composer")
    expect(composer.locator(".choose")).to_be_visible()
    yield "composer-empty"
    choose(page, scene.file)
    page.get_by_label("What is it about?").fill("A walk in Tusheti")
    yield "composer-ready"
    Network(page).be(upload_bps=SLOWLY_BPS)
    composer.get_by_role("button", name="Publish").click()
    page.wait_for_function(
        "() => document.querySelector('khronika-composer').shadowRoot"
        ".querySelector('.progress').value >= 10"
    )
    yield "composer-uploading"
    composer.get_by_role("button", name="Pause").click()
    expect(composer).to_have_attribute("data-state", "paused")
    yield "composer-paused"
    composer.get_by_role("button", name="Cancel").click()
    expect(composer).to_have_attribute("data-state", "empty")


def _console(page: Page, scene: Scene) -> Iterator[str]:
    page.goto(f"{scene.stack.base_url}/ops/sign-in")
    yield "ops-sign-in"
    sign_in(page, scene.stack)
    pages = {
        "overview": "",
        "failed": "/failed",
        "asset": f"/assets/{scene.ready['id']}",
        "inbox": "/inbox?status=applied",
        "accounts": "/accounts",
        "audit": "/audit",
    }
    for name, path in pages.items():
        page.goto(f"{scene.stack.base_url}/ops{path}")
        yield f"ops-{name}"


def _flower(page: Page, scene: Scene) -> Iterator[str]:
    open_tasks(page, scene.stack)
    yield "flower-tasks"


ALBUMS: dict[str, Callable[[Page, Scene], Iterator[str]]] = {
    "the demonstration site": _site,
    "the composer": _composer,
    "the console": _console,
    "Flower": _flower,
}
