"""SECURITY.md names, for every promise, every threat and every fetch, a test that exists."""

import re
from pathlib import Path

import pytest

from tests.unit.test_qa import CHECKOUT, functions_of

PAGE = CHECKOUT / "SECURITY.md"
NAMED = re.compile(r"`(?P<path>tests/[^`:]+\.py)::(?P<name>test_\w+)`")
THREAT = re.compile(
    rf"\| (?P<kind>[STRIDE]) \| (?P<threat>[^|]+) \| (?P<defence>[^|]+) \| {NAMED.pattern} \|"
)
FETCH = re.compile(rf"\| (?:[^|]+ \| ){{4}}{NAMED.pattern} \|")
HEAD_AND_RULE = 2


def section(heading: str) -> str:
    """The text below a heading, up to the next heading."""
    return PAGE.read_text().partition(f"\n{heading}\n")[2].partition("\n##")[0]


def rows(heading: str) -> list[str]:
    """The rows of the table below a heading."""
    return [line for line in section(heading).splitlines() if line.startswith("| ")][HEAD_AND_RULE:]


def promises() -> list[str]:
    """The numbered promises, each with the tests below it."""
    return re.split(r"^(?=\d+\. )", section("## Promises"), flags=re.MULTILINE)[1:]


def sentences(promise: str) -> list[str]:
    """The sentences of a promise that say something of the product."""
    said = promise.partition("\n\n")[0].partition(" ")[2]
    found = re.split(r"(?<=\.)\s+", said.strip())
    return [sentence for sentence in found if not sentence.startswith("Exceptions stand under")]


def numbers(promise: str) -> str:
    """The number of a promise, for the names of the tests."""
    return promise.partition(".")[0]


@pytest.mark.parametrize("promise", promises(), ids=numbers)
def test_a_promise_names_a_test_for_each_of_its_sentences(promise: str) -> None:
    named = {match["name"] for match in NAMED.finditer(promise)}
    assert len(named) >= len(sentences(promise)) > 0


def test_the_promises_are_numbered_without_a_gap() -> None:
    assert [numbers(promise) for promise in promises()] == list("1234567")


@pytest.mark.parametrize("row", rows("## Threats"))
def test_a_threat_has_a_defence_and_a_test(row: str) -> None:
    assert THREAT.fullmatch(row) is not None


@pytest.mark.parametrize("row", rows("### Every fetch of ours"))
def test_a_fetch_has_a_rule_and_a_test(row: str) -> None:
    assert FETCH.fullmatch(row) is not None


@pytest.mark.parametrize("written", sorted(set(re.findall(r"`(tests/[^`]*)`", PAGE.read_text()))))
def test_a_test_that_the_page_names_exists(written: str) -> None:
    told = NAMED.fullmatch(f"`{written}`")
    assert told is not None
    assert told["name"] in functions_of(told["path"])


def test_every_kind_of_threat_is_thought_of() -> None:
    assert {row[2] for row in rows("## Threats")} == set("STRIDE")


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)", PAGE.read_text()))
def test_what_it_links_to_is_there(link: str) -> None:
    assert (CHECKOUT / Path(link)).exists()
