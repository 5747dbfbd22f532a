"""Attacks on a production: ``python -m tests.attack`` prints a table of what was tried and seen.

Names of modules choose among the attacks: ``python -m tests.attack decoder broker``.
The exit code is 1 if a defence did not hold.
"""

import sys
import traceback
from collections.abc import Callable

from stack.stop_signals import stop_on_signals
from tests.attack import (
    audit,
    broker,
    completing,
    credentials,
    database,
    decoder,
    dripping,
    existence,
    headers,
    production,
    sources,
    withdrawn,
)
from tests.attack.rows import Row, render
from tests.attack.target import Target, running_target

Attack = Callable[[Target], list[Row]]
ATTACKS: tuple[Attack, ...] = (
    decoder.attack,
    sources.attack,
    database.attack,
    dripping.attack,
    completing.attack,
    withdrawn.attack,
    production.attack,
    broker.attack,
    headers.attack,
    existence.attack,
    audit.attack,
    credentials.attack,
)
"""In this order: the last searches what the others have left."""


def _rows_of(attack: Attack, target: Target) -> list[Row]:
    """Make an attack; one that ends with an error of its own is one that showed nothing."""
    try:
        return attack(target)
    except Exception as error:  # noqa: BLE001 # the other attacks are made all the same
        traceback.print_exc()
        return [Row(attack.__module__, "the whole attack", "made", type(error).__name__)]


def main() -> int:
    rows: list[Row] = []
    names = sys.argv[1:]
    chosen = [each for each in ATTACKS if not names or each.__module__.split(".")[-1] in names]
    with stop_on_signals(), running_target() as target:
        for attack in chosen:
            rows += _rows_of(attack, target)
    failed = [row for row in rows if not row.held]
    print(render(rows))
    print(f"\n{len(rows)} tries, {len(failed)} that did not hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
