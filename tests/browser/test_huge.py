"""Uploads of a file that is larger than any process may grow, from a page and the command line.

The file has 192 MiB. `make huge` sends 2 GiB, which would take too long in a check. The bound is
the same: a process holds pieces of parts, independent of their number.
"""

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from filecmp import cmp
from os import environ
from pathlib import Path
from subprocess import run
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import expect

from pipeline.media.tools import Tools
from stack.ports import LOOPBACK, free_port
from tests.browser.conftest import CHECKOUT, Pages
from tests.browser.live import MIB, choose, large, own_site
from tests.integration.api.conftest import JWT_SECRET, environment, token, tools
from tests.integration.api.test_serving import gunicorn
from tests.memory import Growth

__all__ = ["environment", "tools"]

SIZE_BYTES = int(environ.get("KHRONIKA_HUGE_MIB", "192")) * MIB
PATIENCE_SEC = 600
MOST_BYTES = 96 * MIB
KHRONIKA = """
import atexit, sys
from cli.main import app
from tests.memory import memory_bytes
atexit.register(lambda: print(memory_bytes("VmHWM"), file=sys.stderr))
app()
"""
"""The `khronika` command; it prints its peak memory at its end."""


@pytest.fixture
def film(tmp_path: Path, tools: Tools) -> Iterator[Path]:
    film = large(tmp_path, tools, SIZE_BYTES)
    yield film
    film.unlink()


@pytest.fixture
def originals(environment: Mapping[str, str]) -> Iterator[Path]:
    root = Path(urlsplit(environment["STORAGE_URL"]).path)
    yield root / "original"
    shutil.rmtree(root, ignore_errors=True)


@dataclass(frozen=True)
class Served:
    """An API and its site. No worker processes the registered videos.

    Attributes:
        api_url: The API's address.
        site_url: The site's address.
        growth: The memory growth of the API's processes.
    """

    api_url: str
    site_url: str
    growth: Growth


@pytest.fixture
def served(environment: Mapping[str, str], originals: Path, tmp_path: Path) -> Iterator[Served]:
    site_port = free_port()
    settings = {
        **environment,
        "KHRONIKA_CORS_ORIGINS": f"http://{LOOPBACK}:{site_port}",
        "KHRONIKA_SOURCE_MAX_BYTES": str(SIZE_BYTES),
    }
    with (
        gunicorn(settings, tmp_path / "log") as url,
        own_site(url, JWT_SECRET, tmp_path, site_port) as site,
    ):
        growth = Growth(running(lambda it: it.environ().get("KHRONIKA_PUBLIC_URL") == url))
        yield Served(url, site, growth)


def running(is_meant: Callable[[psutil.Process], bool]) -> list[int]:
    """Return the ids of all descendant processes that meet a condition."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has ended
            if is_meant(process):
                found.append(process.pid)
    return found


def expect_stored(originals: Path, film: Path) -> None:
    (stored,) = (path for path in originals.rglob("*") if path.is_file())
    assert cmp(stored, film, shallow=False)
    stored.unlink()


def test_a_page_and_a_command_line_send_a_file_that_no_process_holds(
    served: Served, open_page: Pages, film: Path, originals: Path
) -> None:
    opened = open_page(f"{served.site_url}/compose")
    composer = choose(opened.page, film)
    browser = Growth(running(lambda it: "chrom" in it.name()))

    composer.get_by_role("button", name="Publish").click()
    expect(composer).to_have_attribute("data-state", "done", timeout=PATIENCE_SEC * 1000)
    assert browser.most_bytes() < MOST_BYTES
    expect_stored(originals, film)

    assert submit(film, served.api_url) < MOST_BYTES
    expect_stored(originals, film)
    assert served.growth.most_bytes() < MOST_BYTES


def submit(film: Path, url: str) -> int:
    """Send the file with `khronika submit`, and return the peak memory of that process."""
    env = {**environ, "KHRONIKA_URL": url, "KHRONIKA_TOKEN": token("ana")}
    ran = run(
        [sys.executable, "-c", KHRONIKA, "submit", str(film), "--json"],
        cwd=CHECKOUT,
        env={**env, "XDG_STATE_HOME": str(film.parent)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SEC,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return int(ran.stderr.split()[-1])
