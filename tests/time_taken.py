"""The time that each part of a test run took, printed at its end."""

import resource
from collections import defaultdict
from collections.abc import Generator, Iterable
from dataclasses import dataclass

import pytest

CPU = "cpu_sec"


@dataclass
class Taken:
    """The time of one part.

    Attributes:
        tests: Number of tests.
        wall_sec: Set-up and teardown included. Parts run side by side in several processes.
        cpu_sec: Of the test's process and of the processes it has waited for.
    """

    tests: int = 0
    wall_sec: float = 0.0
    cpu_sec: float = 0.0


class CpuClock:
    """Measures the CPU time between one phase of a test and the next."""

    def __init__(self) -> None:
        self._last = _cpu_sec()

    def lap(self) -> float:
        """Return the seconds since the last call."""
        last, self._last = self._last, _cpu_sec()
        return self._last - last


_clock = pytest.StashKey[CpuClock]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the clock after the collection."""
    session.config.stash[_clock] = CpuClock()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write the CPU time of each phase into its report, which reaches the first process."""
    report = yield
    report.user_properties = [(CPU, item.config.stash[_clock].lap())]
    return report


def _cpu_sec() -> float:
    each = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in each)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the time of each part, the longest first."""
    parts = taken_by_part(
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport)
    )
    terminalreporter.section("time taken, set-up and teardown included")
    terminalreporter.write_line(f"{'tests':>6} {'seconds':>9} {'CPU s':>8}  part")
    for part, taken in sorted(parts.items(), key=lambda item: -item[1].wall_sec):
        terminalreporter.write_line(
            f"{taken.tests:6} {taken.wall_sec:9.1f} {taken.cpu_sec:8.1f}  {part}"
        )


def taken_by_part(reports: Iterable[pytest.TestReport]) -> dict[str, Taken]:
    """Sum up reports by the first three folders of their tests, and all of them."""
    parts: defaultdict[str, Taken] = defaultdict(Taken)
    for report in reports:
        for part in (part_of(report.nodeid), "all"):
            parts[part].tests += report.when == "setup"
            parts[part].wall_sec += report.duration
            parts[part].cpu_sec += _noted_cpu_sec(report)
    return parts


def _noted_cpu_sec(report: pytest.TestReport) -> float:
    return float(str(dict(report.user_properties).get(CPU, 0)))


def part_of(nodeid: str) -> str:
    """Return up to two folders below ``tests``."""
    folders = nodeid.partition("::")[0].split("/")[:-1]
    return "/".join(folders[:3])
