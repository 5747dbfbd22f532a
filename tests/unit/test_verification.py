"""The page of what is verified says no more than the record of the stories that held."""

from pathlib import Path

from tests.acceptance.stories import STORIES
from tests.acceptance.verification import NAMES, NOT_YET, read_record, verification_page
from tests.vendors.directed import OURS, VENDORS

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_that_of_the_record() -> None:
    page = verification_page(STORIES, read_record())

    assert page == (DOCS / "verification.md").read_text(), "run: make evidence"


def test_a_story_without_an_entry_has_not_run() -> None:
    page = verification_page(STORIES, {})

    rows = [line for line in page.splitlines() if line.startswith("| [")]
    assert len(rows) == len(STORIES) + 1
    assert all(row.count(NOT_YET) == len(NAMES) for row in rows)


def test_every_adapter_with_a_fake_has_a_column_and_a_page() -> None:
    assert set(NAMES) == {OURS, *VENDORS}
    assert [name for name in VENDORS if not (DOCS / "evidence" / f"{name}.md").exists()] == []
