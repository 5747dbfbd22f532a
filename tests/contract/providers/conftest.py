"""Every adapter with a fake, and the table of what each has shown."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.media.tools import locate_tools
from pipeline.providers.base import Provider
from tests import clips
from tests.vendors.accounts import account_at, fake_of, fakes
from tests.vendors.fake import FakeVendor, serving
from tests.vendors.outputs import make_outputs

ADAPTERS = sorted(fakes())
_NODE = re.compile(r"test_conformance\.py::test_(?P<case>\w+)\[(?P<adapter>[a-z0-9_]+)")
_MARKS = {"passed": "yes", "failed": "NO", "error": "NO", "skipped": "-"}


@pytest.fixture(scope="session")
def vendor_outputs(tmp_path_factory: pytest.TempPathFactory, clip_folder: Path) -> Path:
    tools = locate_tools(os.environ)
    folder = tmp_path_factory.mktemp("vendor_outputs")
    return make_outputs(folder, clips.widescreen(clip_folder, tools), tools)


@pytest.fixture(params=ADAPTERS)
def vendor(request: pytest.FixtureRequest) -> Iterator[FakeVendor]:
    """Each vendor, with empty books and without outputs to fetch."""
    fake = fake_of(request.param)
    with serving(fake):
        yield fake


@pytest.fixture
def account(vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """An account at the vendor."""
    with account_at(vendor, monkeypatch) as opened:
        yield opened


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of adapters and cases, of the cases that ran in this process."""
    marks: dict[str, dict[str, str]] = {}
    for outcome, mark in _MARKS.items():
        for report in terminalreporter.stats.get(outcome, []):
            found = _NODE.search(report.nodeid)
            if found:
                of_case = marks.setdefault(found["case"], {})
                of_case[found["adapter"]] = max(mark, of_case.get(found["adapter"], ""), key=_worse)
    if marks:
        terminalreporter.section("conformance of the adapters: - has no such thing")
        for line in _table(marks):
            terminalreporter.write_line(line)


def _worse(mark: str) -> int:
    return ["", "-", "yes", "NO"].index(mark)


def _table(marks: dict[str, dict[str, str]]) -> Iterator[str]:
    names = sorted({name for of_case in marks.values() for name in of_case})
    width = max(map(len, marks))
    yield "  ".join(["".ljust(width), *names])
    for case, of_case in marks.items():
        cells = (of_case.get(name, "").ljust(len(name)) for name in names)
        yield "  ".join([case.replace("_", " ").ljust(width), *cells]).rstrip()
