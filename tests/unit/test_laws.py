"""Every law is stated once, checked by a test and seen to fail."""

import re
from pathlib import Path

from tests.laws.law import GUARANTEES, Law
from tests.laws.page import BROKEN, CHECKED, table
from tests.mutations.caught import UNBROKEN

RELIABILITY = Path(__file__).parents[2] / "docs" / "reliability.md"


def test_every_law_is_part_of_one_guarantee() -> None:
    assert [law for laws in GUARANTEES.values() for law in laws] == list(Law)


def test_the_guarantees_are_those_of_the_page() -> None:
    numbered = re.findall(r"^\d+\. \*\*(.+)\.\*\*", RELIABILITY.read_text(), re.MULTILINE)

    assert list(GUARANTEES) == numbered


def test_every_law_is_checked() -> None:
    assert frozenset().union(*CHECKED.values()) == frozenset(Law)


def test_every_law_is_broken_by_a_mutation_or_says_why_not() -> None:
    broken = frozenset().union(*BROKEN.values())

    assert broken | UNBROKEN.keys() == frozenset(Law)
    assert broken & UNBROKEN.keys() == frozenset()


def test_the_page_has_the_table_of_the_laws() -> None:
    assert table() in RELIABILITY.read_text(), "run: python -m tests.laws.page"
