"""SECURITY.md names, for every threat, a test that exists."""

import re
from pathlib import Path

import pytest

from tests.unit.test_qa import CHECKOUT, functions_of

PAGE = CHECKOUT / "SECURITY.md"
ROW = re.compile(
    r"\| (?P<kind>[STRIDE]) \| (?P<threat>[^|]+) \| (?P<defence>[^|]+) "
    r"\| `(?P<path>tests/[^`:]+\.py)::(?P<name>test_\w+)` \|"
)
HEAD_AND_RULE = 2


def rows() -> list[str]:
    """The rows of the table of threats; other tables have headings of their own."""
    threats = PAGE.read_text().partition("\n## Threats\n")[2].partition("\n##")[0]
    return [line for line in threats.splitlines() if line.startswith("| ")][HEAD_AND_RULE:]


@pytest.mark.parametrize("row", rows())
def test_a_threat_has_a_defence_and_a_test_that_exists(row: str) -> None:
    told = ROW.fullmatch(row)
    assert told is not None
    assert told["name"] in functions_of(told["path"])


def test_every_kind_of_threat_is_thought_of() -> None:
    assert {row[2] for row in rows()} == set("STRIDE")


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)", PAGE.read_text()))
def test_what_it_links_to_is_there(link: str) -> None:
    assert (CHECKOUT / Path(link)).exists()
