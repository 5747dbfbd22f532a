"""Generator of docs/states.md: ``python -m pipeline.domain.states_page > docs/states.md``."""

import inspect
import re
import sys

from pipeline.domain import states
from pipeline.domain.states import TRANSITIONS, Status


def render() -> str:
    """Return the page: a diagram, the meaning of each state, the reason of each edge."""
    meanings = _meanings()
    lines = [
        "# The states of an asset",
        "",
        "Generated from `pipeline/domain/states.py` by `python -m pipeline.domain.states_page`.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> queued",
        *(f"    {source} --> {target}" for source, target in TRANSITIONS),
        "```",
        "",
        "| state | meaning |",
        "|---|---|",
        *(f"| `{status}` | {meanings[status.name]} |" for status in Status),
        "",
        "| from | to | when |",
        "|---|---|---|",
        *(f"| `{source}` | `{target}` | {why} |" for (source, target), why in TRANSITIONS.items()),
        "",
        "Every other change of state is refused and changes nothing.",
        "",
    ]
    return "\n".join(lines)


def _meanings() -> dict[str, str]:
    """Return each member's docstring from the source; Python keeps none for enum members."""
    source = inspect.getsource(states.Status)
    found = re.findall(
        r'^    ([A-Z]+) = "[a-z]+"\n    """(.+?)"""', source, re.DOTALL | re.MULTILINE
    )
    return {name: " ".join(text.split()) for name, text in found}


if __name__ == "__main__":
    sys.stdout.write(render())
