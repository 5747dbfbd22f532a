from pathlib import Path

import pytest

from pipeline.domain.events import EventType
from pipeline.domain.reference_pages import PAGES, events_page, states_page
from pipeline.domain.states import Status

DOCS = Path(__file__).parents[4] / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_the_one_generated_from_the_code(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), (
        "run: python -m pipeline.domain.reference_pages"
    )


def test_every_state_and_every_event_has_its_sentence() -> None:
    assert all(f"| `{status}` | " in states_page() for status in Status)
    assert all(f"| `{type_}` | " in events_page() for type_ in EventType)
