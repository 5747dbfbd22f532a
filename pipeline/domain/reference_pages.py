"""Generator of docs/states.md and docs/events.md: ``python -m pipeline.domain.reference_pages``.

It writes both pages into the folder ``docs`` of the current directory.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path

from pipeline.domain.events import EventType
from pipeline.domain.states import TRANSITIONS, Status

GENERATED = "Generated from `pipeline/domain/{}.py` by `python -m pipeline.domain.reference_pages`."


def states_page() -> str:
    """Return docs/states.md: a diagram, the meaning of each state, the reason of each edge."""
    return _page(
        "# The states of an asset",
        "",
        GENERATED.format("states"),
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> queued",
        *(f"    {source} --> {target}" for source, target in TRANSITIONS),
        "```",
        "",
        "| state | meaning |",
        "|---|---|",
        *_rows(Status),
        "",
        "| from | to | when |",
        "|---|---|---|",
        *(f"| `{edge[0]}` | `{edge[1]}` | {reason} |" for edge, reason in TRANSITIONS.items()),
        "",
        "Every other change of state is refused and changes nothing.",
    )


def events_page() -> str:
    """Return docs/events.md: the meaning of each type of event in an asset's chronicle."""
    return _page(
        "# The events of the chronicle",
        "",
        GENERATED.format("events"),
        "",
        "| event | meaning |",
        "|---|---|",
        *_rows(EventType),
    )


PAGES: Mapping[str, Callable[[], str]] = {"states.md": states_page, "events.md": events_page}
"""Each generated page by its file in ``docs``."""


def _page(*lines: str) -> str:
    return "\n".join((*lines, ""))


def _rows(enum: type[StrEnum]) -> list[str]:
    """Return a table row for each member, with its docstring from the source.

    Python keeps no docstring for a member of an enum.
    """
    member = re.compile(r'^    ([A-Z_]+) = "[a-z_]+"\n    """(.+?)"""', re.DOTALL | re.MULTILINE)
    found = member.findall(inspect.getsource(enum))
    return [f"| `{enum[name]}` | {' '.join(meaning.split())} |" for name, meaning in found]


if __name__ == "__main__":
    for name, render in PAGES.items():
        Path("docs", name).write_text(render())
