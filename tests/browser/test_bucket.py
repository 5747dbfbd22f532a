"""The whole product on object storage, from a browser's upload to its playback.

The processes share no folder. The browser sends parts to the bucket, not through the API, and reads
segments from there.
"""

from collections.abc import Iterator, Mapping
from os import environ, getpid
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
import requests
from playwright.sync_api import Request, expect

from cli.client import ApiClient
from cli.database_logins import ROLES, login_url, login_variable
from pipeline.media.tools import locate_tools
from pipeline.storage.open import open_storage
from stack.home import Home
from tests.browser.conftest import Pages
from tests.browser.live import LARGE_BYTES, SETTLE_MS, choose, large
from tests.browser.test_playback import expect_playing, play
from tests.buckets import CREDENTIALS, S3Server, localbucket_server
from tests.running import RunningStack, running_stack_process
from tests.shared_run import Databases

CREATE = "**/api/video-assets/create"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[S3Server]:
    (tmp_path / "buckets").mkdir()
    with localbucket_server(tmp_path / "buckets") as server:
        yield server


@pytest.fixture
def bucket(server: S3Server) -> str:
    return server.make_bucket("post-videos")


@pytest.fixture
def logins(
    databases: Databases, template: str, credentials: Mapping[str, str]
) -> Iterator[Mapping[str, str]]:
    """Make this stack's own database, and return the settings that name it."""
    name = f"khronika_stack_on_s3_{getpid()}"
    url = databases.make(name, template=template)
    yield {"DATABASE_URL": url} | {
        login_variable(part): login_url(url, role, credentials[f"{part}_password"])
        for part, role in ROLES.items()
    }
    databases.drop(name)


@pytest.fixture
def stack(
    home: Home, logins: Mapping[str, str], broker_url: str, bucket: str
) -> Iterator[RunningStack]:
    settings = {
        "BROKER_URL": broker_url,
        "STORAGE_URL": bucket,
        "KHRONIKA_STORAGE_KEY_ID": CREDENTIALS.key_id,
        "KHRONIKA_STORAGE_SECRET": CREDENTIALS.secret,
        **logins,
    }
    with running_stack_process(Home(home.root / "stack-on-s3"), settings) as stack:
        yield stack


def test_a_large_upload_goes_to_the_bucket_directly_and_plays_from_there(
    stack: RunningStack, server: S3Server, bucket: str, open_page: Pages, tmp_path: Path
) -> None:
    opened = open_page(f"{stack.site_url}/compose")
    sent: list[str] = []
    opened.page.on("requestfinished", lambda request: _note_bytes(sent, request))
    composer = choose(opened.page, large(tmp_path, locate_tools(environ)))
    with opened.page.expect_response(CREATE, timeout=SETTLE_MS) as created:
        composer.get_by_role("button", name="Publish").click()
    video = opened.page.locator("khronika-video")
    expect(video).to_have_attribute("data-state", "ready", timeout=SETTLE_MS)

    assert sent == [server.endpoint] * 3
    storage = open_storage(bucket, CREDENTIALS)
    assert [stat.size_bytes for stat in storage.list("original")] == [LARGE_BYTES]
    play(opened)
    expect_playing(opened, "hls.js")
    told = created.value.json()
    with ApiClient(stack.base_url, stack.token(told["owner_id"])) as client:
        asset = client.asset(told["post_id"])
    manifest = requests.get(asset["manifest_url"], timeout=60)
    assert manifest.status_code == 200
    (playlist, *_) = [line for line in manifest.text.splitlines() if line and line[0] != "#"]
    assert requests.get(urljoin(manifest.url, playlist), timeout=60).status_code == 200
    part = requests.get(asset["fallback_url"], headers={"Range": "bytes=4-7"}, timeout=60)
    assert (part.status_code, part.content) == (206, b"ftyp")
    for log in stack.home.logs.iterdir():
        assert CREDENTIALS.secret not in log.read_text(errors="replace"), log


def _note_bytes(sent: list[str], request: Request) -> None:
    if request.method == "PUT":
        parts = urlsplit(request.url)
        sent.append(f"{parts.scheme}://{parts.netloc}")
