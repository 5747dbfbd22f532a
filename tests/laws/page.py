"""The table of the laws in docs/reliability.md: ``python -m tests.laws.page`` prints it."""

from collections.abc import Mapping

from tests.chaos.verdicts import JUDGED
from tests.laws.checks import ALWAYS, AT_REST
from tests.laws.law import GUARANTEES, Law
from tests.model import laws as model
from tests.mutations.caught import CAUGHT

CHECKED: Mapping[str, frozenset[Law]] = {
    "stateful": frozenset({*ALWAYS, *AT_REST}),
    "chaos": JUDGED,
    "model": frozenset({*model.CHECKS, *model.AT_REST}),
}
"""The laws that each group of tests checks."""

BROKEN: Mapping[str, frozenset[Law]] = {
    "a mutant": frozenset(caught.law for caught in CAUGHT),
    "the model": frozenset(law for _, law in model.LEFT_OUT),
}
"""The laws that a product, or a model, without one of its rules breaks."""


def table() -> str:
    """Return every law with its guarantee, its checks and its breakers, in Markdown."""
    lines = ["| guarantee | law | checked by | broken by |", "|---:|---|---|---|"]
    for number, laws in enumerate(GUARANTEES.values(), start=1):
        lines += [
            f"| {number} | {law} | {_groups(CHECKED, law)} | {_groups(BROKEN, law)} |"
            for law in laws
        ]
    return "\n".join(lines)


def _groups(groups: Mapping[str, frozenset[Law]], law: Law) -> str:
    return ", ".join(name for name, laws in groups.items() if law in laws)


if __name__ == "__main__":
    print(table())
