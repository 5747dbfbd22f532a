from pathlib import Path

from pipeline.runtime.deployment import Risk
from stack.production_page import render

PAGE = Path(__file__).parents[3] / "docs" / "production.md"


def test_the_page_about_production_is_the_one_generated_from_its_rules() -> None:
    told = "run: python -m stack.production_page > docs/production.md"
    assert PAGE.read_text() == render(), told


def test_the_page_names_every_risk() -> None:
    page = PAGE.read_text()
    assert [risk for risk in Risk if f"| `{risk}` |" not in page] == []
