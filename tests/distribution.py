"""The distribution of tests over processes (pytest-xdist).

``make test`` passes ``-n auto``. A plain ``pytest`` runs everything in its own process.
"""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests.shared_run import MOST_PROCESSES, SharedRun, is_worker, shared_run

PROCESSES_PER_CPU = 2
"""Many tests wait for a process that they started, so one to a CPU leaves it idle at times."""


TOGETHER = (
    # They use one running stack, which takes 15 s of CPU to start.
    (
        "tests/acceptance/",
        "tests/integration/cli/test_whole_path.py",
        "tests/integration/stack/test_demo.py",
    ),
    # They alter roles, which belong to the whole server.
    ("tests/integration/schema/",),
)
"""Files, and folders of files, that run in one process. Every other file is a group of its own."""

LONG_FIRST = (
    "tests/acceptance/",
    "tests/browser/test_site.py",
    "tests/integration/api/test_serving.py",
    "tests/stateful/",
    "tests/mutations/",
    "tests/integration/transcoder/",
    "tests/integration/stack/",
    "tests/integration/pipeline/test_crash_points.py",
    "tests/integration/pipeline/vendors/",
    "tests/model/",
    "tests/integration/worker/",
    "tests/integration/api/",
    "tests/browser/",
)
"""The order in which groups start: one of minutes that started last would be waited for alone."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Answer ``-n auto``: 0 means that the tests run in this process.

    One file is run here, so that nothing is started that it does not need. So is everything
    where ``BROKER_URL`` names a broker: its one database is flushed before every test.
    """
    if _is_one_file(config.args) or config.option.collectonly or os.environ.get("BROKER_URL"):
        return 0
    return min(MOST_PROCESSES, round(PROCESSES_PER_CPU * (os.cpu_count() or 1)))


def _is_one_file(arguments: list[str]) -> bool:
    files = {argument.partition("::")[0] for argument in arguments}
    return len(files) == 1 and Path(files.pop()).is_file()


_run = pytest.StashKey[SharedRun]()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the servers of a run in several processes before those processes."""
    config = session.config
    if config.option.dist == "no" or is_worker(config):
        return
    until_the_end = ExitStack()
    config.add_cleanup(until_the_end.close)
    config.stash[_run] = until_the_end.enter_context(shared_run())


def pytest_configure_node(node: WorkerController) -> None:
    """Give a process the way to the servers."""
    node.workerinput["run"] = node.config.stash[_run].packed()


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Hands out whole groups of tests, in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling:
    """Schedule by group, and keep the order: xdist's own puts groups of many tests first."""
    config.option.loadscopereorder = False
    return GroupScheduling(config, log)


def group_of(nodeid: str) -> str:
    """Return the name of the tests that run in one process, one after another."""
    path = nodeid.partition("::")[0]
    return next((group[0] for group in TOGETHER if path.startswith(group)), path)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put long groups first where there are several processes."""
    if is_worker(config):
        items.sort(key=lambda item: (rank_of(group_of(item.nodeid)), _place_in_group(item.nodeid)))


def _place_in_group(nodeid: str) -> int:
    """Return the place of a test's file among those named: the first says how the stack is set."""
    named = next((group for group in TOGETHER if nodeid.startswith(group)), ())
    return next((place for place, start in enumerate(named) if nodeid.startswith(start)), 0)


def rank_of(group: str) -> int:
    """Return the place of a group in the order of the run."""
    ranks = (rank for rank, start in enumerate(LONG_FIRST) if group.startswith(start))
    return next(ranks, len(LONG_FIRST))
