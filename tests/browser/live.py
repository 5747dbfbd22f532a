"""A running stack for the browser, with its demonstration site, its network and a second API."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from playwright.sync_api import Locator, Page, expect

from examples.site.app import create_app
from examples.site.settings import SiteSettings
from pipeline.media.tools import Tools
from stack.home import CHECKOUT, Home
from stack.ports import LOOPBACK, free_port
from stack.processes import last_lines, spawn, stop_child
from stack.supervisor import read_procfile
from tests import clips
from tests.acceptance.serving import served
from tests.running import READY_SEC, RunningStack, running_stack_process

MIB = 1024 * 1024
LARGE_BYTES = 20 * MIB
"""The size of a large file: three parts of at most 8 MiB."""
SETTLE_MS = 180_000
"""The time from a file of 2 s to a playable video on a busy machine."""

WEB = read_procfile(CHECKOUT / "Procfile")["web"]
GUNICORN = ("/bin/sh", "-c", f"exec {shlex.quote(sys.executable)} -m {WEB}")

NO_SERVERS_GIVEN = {"DATABASE_URL": "", "BROKER_URL": "", "STORAGE_URL": ""}
"""The stack has its own broker: two stacks on one broker would share tasks."""


@contextmanager
def running_site(home: Path) -> Iterator[RunningStack]:
    """Run the whole stack, as ``make up`` does, for the length of the block."""
    with running_stack_process(Home(home), NO_SERVERS_GIVEN) as stack:
        yield stack


def large(folder: Path, tools: Tools, size_bytes: int = LARGE_BYTES) -> Path:
    """Make a large file of a short clip: its last box is one that players skip.

    The file is sparse: it takes no more disk space than the clip.
    """
    path = folder / "large.mp4"
    if not path.exists():
        clip = clips.widescreen(folder, tools).read_bytes()
        free = size_bytes - len(clip)
        with path.open("wb") as file:
            file.write(clip + free.to_bytes(4, "big") + b"free")
            file.truncate(size_bytes)
    return path


class Network:
    """The network of a page."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("Network.enable")

    def be(self, *, offline: bool = False, upload_bps: int = -1) -> None:
        """Cut the network, or slow down uploads; without arguments restore it."""
        self._session.send(
            "Network.emulateNetworkConditions",
            {
                "offline": offline,
                "latency": 0,
                "downloadThroughput": -1,
                "uploadThroughput": upload_bps // 8 if upload_bps > 0 else -1,
            },
        )


def choose(page: Page, path: Path) -> Locator:
    """Choose a file in the composer, and wait until it can be published."""
    composer = page.locator("khronika-composer")
    composer.locator("input[type=file]").set_input_files(path)
    expect(composer).to_have_attribute("data-state", "ready")
    return composer


@contextmanager
def own_site(api_url: str, jwt_secret: str, folder: Path, port: int) -> Iterator[str]:
    """Serve a demonstration site from this process, for an API that allows its origin.

    Yields:
        Its address, with no slash at its end.
    """
    settings = SiteSettings.model_validate(
        {
            "url": f"http://{LOOPBACK}:{port}",
            "api_url": api_url,
            "jwt_secret": jwt_secret,
            "posts": folder / "site-posts.json",
        }
    )
    with served(create_app(settings), port) as url:
        yield url


class OwnApi:
    """A second API of a stack, on its own address, which a test may stop.

    The stack's runner keeps the socket of the first API open, so that it never refuses connections.

    Attributes:
        base_url: Its address.
        site_port: The port on loopback of the site that may call it.
    """

    def __init__(self, stack: RunningStack) -> None:
        port = free_port()
        self.base_url = f"http://{LOOPBACK}:{port}"
        self.site_port = free_port()
        self._environment = {
            **os.environ,
            **stack.environment,
            "KHRONIKA_PUBLIC_URL": self.base_url,
            "KHRONIKA_WEB_BIND": f"{LOOPBACK}:{port}",
            "KHRONIKA_CORS_ORIGINS": f"http://{LOOPBACK}:{self.site_port}",
        }
        self._log = stack.home.logs / "own-api.log"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self._log.open("ab") as output:
            self._child = spawn(
                GUNICORN,
                death_signal=signal.SIGTERM,
                cwd=CHECKOUT,
                env=self._environment,
                output=output.fileno(),
            )
        deadline = time.monotonic() + READY_SEC
        while not self._answers():
            assert self._child.poll() is None, last_lines(self._log)
            assert time.monotonic() < deadline, last_lines(self._log)
            time.sleep(0.1)

    def kill(self) -> None:
        """Kill all of its processes: connections are refused. Idempotent."""
        if self._child is not None:
            stop_child(self._child, [])

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.base_url}/readyz", timeout=READY_SEC).ok
        except requests.ConnectionError:
            return False


@contextmanager
def own_api(stack: RunningStack) -> Iterator[OwnApi]:
    """Run a second API of this stack for the length of the block."""
    api = OwnApi(stack)
    try:
        api.start()
        yield api
    finally:
        api.kill()
