"""The written pages: their links and paths exist, and the README's tour stays short."""

import re
from pathlib import Path

import pytest

from tests.unit.test_qa import CHECKOUT

README = CHECKOUT / "README.md"
GLOSSARY = CHECKOUT / "docs" / "glossary.md"
PAGES = sorted(
    path
    for folder in (".", "docs", "docs/adr", "docs/providers")
    for path in (CHECKOUT / folder).glob("*.md")
)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")
PATH = re.compile(
    r"`((?:pipeline|api|worker|transcoder|cli|stack|examples|web|tests|bench|docs)"
    r"/[\w./-]+)(?:::\w+)?`"
)
MOST_MODULES = 14
"""A reader of the main path opens no more modules than this."""

WORDS = [
    "asset",
    "source",
    "rendition",
    "ladder",
    "manifest",
    "segment",
    "poster",
    "attempt",
    "generation",
    "provider",
    "delivery",
    "event",
    "claim",
    "lease",
    "submit",
    "reconcile",
    "poll",
    "sweep",
    "backoff",
    "terminal",
]
"""The vocabulary of the code's names."""


def tour() -> list[str]:
    """Return the paths of the numbered rows of the README's tour."""
    return re.findall(r"^\| \d+ \| \[`[^`]+`\]\(([^)]+)\)", README.read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_link_and_path_of_a_page_exists(page: Path) -> None:
    text = page.read_text()
    places = [page.parent / link for link in LINK.findall(text)]
    places += [CHECKOUT / path for path in PATH.findall(text)]
    assert [str(place) for place in places if not place.exists()] == []


def test_the_tour_names_modules_of_the_main_path_and_few_of_them() -> None:
    modules = tour()
    assert modules
    assert len(modules) == len(set(modules)) <= MOST_MODULES
    assert all((CHECKOUT / module).is_file() for module in modules)


def test_every_name_of_the_recipe_for_a_step_exists() -> None:
    recipe = (CHECKOUT / "docs" / "adding-a-step.md").read_text()
    named = re.findall(r"`([\w/.-]+\.py)::(\w+)`", recipe)
    assert named
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not re.search(rf"^(?:def |class )?{name}\b", (CHECKOUT / path).read_text(), re.MULTILINE)
    ]
    assert missing == []


@pytest.mark.parametrize(
    "target", sorted(set(re.findall(r"(?:^|`)make ([\w-]+)", README.read_text(), re.MULTILINE)))
)
def test_a_command_of_the_readme_is_a_target_of_the_makefile(target: str) -> None:
    assert re.search(rf"^{target}:", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("word", WORDS)
def test_a_word_of_the_codes_names_is_defined_once(word: str) -> None:
    defined = re.findall(r"^\| \*\*([^*]+)\*\* \|", GLOSSARY.read_text(), re.MULTILINE)
    assert defined.count(word) == 1
