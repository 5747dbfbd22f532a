"""Writes docs/states.md from the states: ``python -m pipeline.states_page > docs/states.md``."""

import inspect
import re
import sys

from pipeline import states
from pipeline.states import TRANSITIONS, Status


def render() -> str:
    """The page: a diagram, what each state means, why each edge is taken."""
    meanings = _meanings()
    lines = [
        "# The states of an asset",
        "",
        "Generated from `pipeline/states.py` by `python -m pipeline.states_page`.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> queued",
        *(f"    {source} --> {target}" for source, target in TRANSITIONS),
        "```",
        "",
        "| state | what it means |",
        "|---|---|",
        *(f"| `{status}` | {meanings[status.name]} |" for status in Status),
        "",
        "| from | to | when |",
        "|---|---|---|",
        *(f"| `{source}` | `{target}` | {why} |" for (source, target), why in TRANSITIONS.items()),
        "",
        "Anything else is refused and changes nothing.",
        "",
    ]
    return "\n".join(lines)


def _meanings() -> dict[str, str]:
    """The sentence under each member; Python keeps none for the members of an enum."""
    source = inspect.getsource(states.Status)
    found = re.findall(
        r'^    ([A-Z]+) = "[a-z]+"\n    """(.+?)"""', source, re.DOTALL | re.MULTILINE
    )
    return {name: " ".join(text.split()) for name, text in found}


if __name__ == "__main__":
    sys.stdout.write(render())
