"""The time that the jail adds to a run of ffprobe.

`python -m bench.jail_cost` runs `ffprobe -version` alternately in the jail and without it.
"""

import argparse
import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from bench.table import markdown_table
from pipeline.media.child_process import run_child
from pipeline.media.confinement import NO_FILES, PROBE, bare_environment
from pipeline.media.tools import locate_tools


@dataclass(frozen=True)
class Cost:
    """Milliseconds of one run."""

    elapsed: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the time that the jail adds to a run.")
    parser.add_argument("--runs", type=int, default=50, help="runs of each kind")
    runs = parser.parse_args().runs
    command = [locate_tools(os.environ).ffprobe, "-version"]

    def without() -> None:
        subprocess.run(command, env=bare_environment(), capture_output=True, check=True)

    def within() -> None:
        done = run_child(command, PROBE, NO_FILES, timeout_sec=60, max_output_bytes=1_000_000)
        assert done.returncode == 0, done.stderr

    print(cost_table([(cost_ms(without), cost_ms(within)) for _ in range(runs)]))


def cost_ms(run: Callable[[], None]) -> Cost:
    begun_at, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    run()
    elapsed_sec = time.perf_counter() - begun_at
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_sec = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Cost(1000 * elapsed_sec, 1000 * cpu_sec)


def cost_table(costs: list[tuple[Cost, Cost]]) -> str:
    rows = []
    for title, pick in (("elapsed", attrgetter("elapsed")), ("processor", attrgetter("cpu"))):
        plain, jailed = ([pick(cost) for cost in column] for column in zip(*costs, strict=True))
        added = [within - without for without, within in zip(plain, jailed, strict=True)]
        for kind, values in (("without", plain), ("in the jail", jailed), ("the jail", added)):
            figures = (statistics.median(values), min(values), max(values))
            rows.append((f"{title}, {kind}", *(f"{figure:.1f}" for figure in figures)))
    return markdown_table(("a run of ffprobe", "ms, median", "least", "most"), rows)


if __name__ == "__main__":
    main()
