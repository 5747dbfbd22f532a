"""The rows of the table that the attacks fill."""

from typing import NamedTuple


class Row(NamedTuple):
    """One try.

    Attributes:
        attack: The kind of attack.
        tried: The deed of the attacker.
        expected: The end that the product promises.
        seen: The end that it had.
    """

    attack: str
    tried: str
    expected: str
    seen: str

    @property
    def held(self) -> bool:
        """Whether the promise held."""
        return self.seen == self.expected


def render(rows: list[Row]) -> str:
    """Return the table as text."""
    cells = [("attack", "tried", "expected", "seen", "held")]
    cells += [(*row, "yes" if row.held else "NO") for row in rows]
    widths = [min(60, max(len(row[column]) for row in cells)) for column in range(5)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
