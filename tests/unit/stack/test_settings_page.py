from pathlib import Path

from stack.settings_page import render

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


def test_the_page_about_settings_is_the_one_generated_from_them() -> None:
    assert PAGE.read_text() == render(), "run: python -m stack.settings_page > docs/settings.md"
