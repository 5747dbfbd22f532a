"""``python -m tests.chaos``: attack the stack, judge what is left, exit 1 when a promise broke."""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from stack.home import Home
from stack.stop_signals import StopRequested, stop_on_signals
from tests.chaos.bounds import BACKLOG_SEC, MARGINS_SEC, recovery_sec
from tests.chaos.clients import ClientLog
from tests.chaos.plan import Plan, make_plan
from tests.chaos.report import print_encodes, print_report, summary
from tests.chaos.run import Tell, attack, attack_encodes
from tests.chaos.stage import Stage, running_stage
from tests.chaos.verdicts import judge

TOLD_EVERY_SEC = 15.0
"""How often progress is told where there is no terminal."""


def main() -> int:
    """Run; 0 when every law held."""
    arguments = _parse()
    plan = make_plan(arguments.seed, arguments.assets, arguments.minutes)
    console = Console(width=None if sys.stdout.isatty() else 110)
    if arguments.plan:
        _print_plan(console, plan)
        return 0
    root = Path(tempfile.mkdtemp(prefix="khronika-chaos-"))
    if os.geteuid() == 0:
        root.chmod(0o711)  # the Postgres server runs as somebody else
    held = False
    try:
        with stop_on_signals():
            held = _attack_and_judge(console, Home(root), plan, arguments.encodes)
    except StopRequested:
        console.print("chaos: stopped")
    if held:
        shutil.rmtree(root)
    else:
        console.print(f"logs are kept in {root / 'logs'}", soft_wrap=True)
    return 0 if held else 1


def _attack_and_judge(console: Console, home: Home, plan: Plan, encodes: int) -> bool:
    began = time.monotonic()
    with running_stage(home, plan.seed) as stage:
        with _told(console) as tell:
            first = attack(stage, plan, tell)
        verdicts = judge(first.evidence)
        print_report(console, first.tally, first.evidence, verdicts)
        held = not any(verdict.violations for verdict in verdicts)
        if encodes:
            held = _attack_encodes(console, stage, plan.seed, encodes, first.log) and held
        seconds = time.monotonic() - began
        line = summary(first.evidence, first.tally, verdicts, plan.seed, held=held)
        console.print(f"{line} seconds={seconds:.0f}", soft_wrap=True, markup=False)
    return held


def _attack_encodes(
    console: Console, stage: Stage, seed: int, encodes: int, log: ClientLog
) -> bool:
    with _told(console) as tell:
        second = attack_encodes(stage, seed, encodes, log, tell)
    verdicts = judge(second.evidence)
    print_encodes(console, second, verdicts)
    return not second.leftovers and not any(verdict.violations for verdict in verdicts)


@contextmanager
def _told(console: Console) -> Iterator[Tell]:
    with Live(console=console, transient=True, refresh_per_second=4) as live:
        yield _teller(console, live)


def _teller(console: Console, live: Live) -> Tell:
    told_at = 0.0

    def tell(line: str) -> None:
        nonlocal told_at
        if console.is_terminal:
            live.update(Text(line))
        elif time.monotonic() - told_at > TOLD_EVERY_SEC:
            told_at = time.monotonic()
            console.print(line, highlight=False)

    return tell


def _print_plan(console: Console, plan: Plan) -> None:
    console.print(f"seed {plan.seed}: {plan.length_sec:.0f} s, {len(plan.arrivals)} assets")
    for fault in plan.faults:
        console.print(
            f"  {fault.at_sec:6.1f} s  {fault.kind:<32} {fault.lasts_sec:4.1f} s", highlight=False
        )
    console.print(f"recovery is due within {recovery_sec(0):.0f} s of the last: lease, sweep, and")
    for reason, sec in MARGINS_SEC.items():
        console.print(f"  {sec:5.1f} s for {reason}", highlight=False)
    console.print(
        f"  {BACKLOG_SEC:5.1f} s for the backlog, longer on a machine that others use too"
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="decides everything")
    parser.add_argument("--assets", type=int, default=300, help="how many videos are registered")
    parser.add_argument("--minutes", type=float, help="how long faults go on")
    parser.add_argument("--encodes", type=int, default=4, help="videos for the real transcoder")
    parser.add_argument("--plan", action="store_true", help="print the schedule and stop")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
