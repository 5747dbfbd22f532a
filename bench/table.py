"""The Markdown tables that the benchmarks print."""

from collections.abc import Iterable, Sequence
from statistics import median


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Format a table; the caller formats the numbers."""
    lines = [f"| {' | '.join(map(str, row))} |" for row in (heads, *rows)]
    lines.insert(1, "|---" * len(heads) + "|")
    return "\n".join(lines)


def spread(values: Sequence[float], digits: int = 2) -> tuple[str, str, str]:
    """Format the median, the least and the most of some values."""
    low, high = min(values), max(values)
    return (f"{median(values):.{digits}f}", f"{low:.{digits}f}", f"{high:.{digits}f}")


def verdict(*, met: bool) -> str:
    """Format the comparison of a figure with its target."""
    return "met" if met else "MISSED"
