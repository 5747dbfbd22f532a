"""docs/qa.md names tests that exist, and says "not yet" where there is none."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
QA = CHECKOUT / "docs" / "qa.md"
NAMED = re.compile(r"`(?P<path>tests/[^`:]+\.py)::(?P<name>\w+)`")
NOT_YET = "not yet"
AREAS = (
    "Upload",
    "Processing",
    "Playback",
    "Devices",
    "Visibility of events",
    "Limits and cost",
    "Isolation",
    "Regression of the site's posts",
)


def last_cells() -> list[str]:
    """The last cell of every row of every table, heads left out."""
    lines = [line.strip("| \n") for line in QA.read_text().splitlines() if line.startswith("| ")]
    cells = [line.split(" | ")[-1].strip() for line in lines]
    return [cell for cell in cells if cell not in {"covered by", "---"}]


def every_name() -> list[tuple[str, str]]:
    """Every path and name on the page, once each."""
    found = {(match["path"], match["name"]) for match in NAMED.finditer(QA.read_text())}
    return sorted(found)


@cache
def functions_of(path: str) -> frozenset[str]:
    """The functions a file defines at its top, by reading it: importing would need its fixtures."""
    file = CHECKOUT / path
    if not file.is_file():
        return frozenset()
    return frozenset(
        node.name
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@pytest.mark.parametrize(("path", "name"), every_name())
def test_a_test_that_the_matrix_names_exists(path: str, name: str) -> None:
    assert name.startswith("test_")
    assert name in functions_of(path)


@pytest.mark.parametrize("cell", last_cells())
def test_a_row_of_the_matrix_names_a_test_or_says_not_yet(cell: str) -> None:
    assert cell == NOT_YET or NAMED.fullmatch(cell)


def test_the_matrix_has_every_area() -> None:
    headings = [line[3:] for line in QA.read_text().splitlines() if line.startswith("## ")]
    assert headings == ["How the tests run", *AREAS]
