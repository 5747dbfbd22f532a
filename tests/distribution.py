"""The distribution of tests over processes (pytest-xdist).

``make test`` passes ``-n auto``. A plain ``pytest`` runs everything in its own process.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests.shared_run import MOST_PROCESSES, SharedRun, is_worker, shared_run

PROCESSES_PER_CPU = 1.5
"""Many tests wait for a process that they started, so two to a CPU leave it idle at times."""


TOGETHER = (
    "tests/acceptance/",
    "tests/integration/schema/",
)
"""Folders whose files share something costly, or alter roles of the whole server."""

LONG = ("tests/acceptance/",)
"""Groups that run longest, the longest first: a long one that starts last is waited for alone."""


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
    """Return the folder or file whose tests run in one process, one after another."""
    path = nodeid.partition("::")[0]
    return next((folder for folder in TOGETHER if path.startswith(folder)), path)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put long groups first where there are several processes."""
    if is_worker(config):
        items.sort(key=_rank())


def _rank() -> Callable[[pytest.Item], int]:
    ranks = {group: rank for rank, group in enumerate(LONG)}
    return lambda item: ranks.get(group_of(item.nodeid), len(LONG))
