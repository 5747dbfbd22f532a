"""A whole running stack for the browser: its demonstration site, its network, its API's end."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from pipeline.media.tools import Tools
from stack.home import Home
from tests import clips
from tests.running import RunningStack, running_stack_process

MIB = 1024 * 1024
LARGE_BYTES = 20 * MIB
"""In parts: three of them, of 8 MiB at the most."""
SETTLE_MS = 60_000
"""From a file of 2 s to playable, on a machine that does other things, too."""

NO_SERVERS_GIVEN = {"DATABASE_URL": "", "BROKER_URL": "", "STORAGE_URL": ""}
"""It has its own, whatever the environment names: two stacks on one broker would share tasks."""


@contextmanager
def running_site(home: Path) -> Iterator[RunningStack]:
    """Run everything, as ``make up`` does, for the length of the block."""
    with running_stack_process(Home(home), NO_SERVERS_GIVEN) as stack:
        yield stack


def large(folder: Path, tools: Tools, size_bytes: int = LARGE_BYTES) -> Path:
    """A short clip in a large file: what follows its last box is one that players skip.

    It is sparse: of the disk it takes what the clip takes.
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
    """What a page's connection is like."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("Network.enable")

    def be(self, *, offline: bool = False, upload_bps: int = -1) -> None:
        """Be without a network, or slow upwards; as ever without arguments."""
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
    """Choose a file in the composer; it can be published when this returns."""
    composer = page.locator("khronika-composer")
    composer.locator("input[type=file]").set_input_files(path)
    expect(composer).to_have_attribute("data-state", "ready")
    return composer


def kill_api(stack: RunningStack) -> None:
    """Kill the processes that answer requests; their master, which we leave, starts others."""
    home = f"KHRONIKA_HOME={stack.home.root}".encode()
    masters = [pid for pid in _processes() if _is_api(pid, home)]
    workers = [pid for pid in masters if _parent(pid) in masters]
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGKILL)


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _is_api(pid: int, home: bytes) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"api.app:create_app()" in command and home in environment


def _parent(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])
