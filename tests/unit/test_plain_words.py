"""The rules of language that a linter does not know, checked on the syntax trees of the product.

A docstring begins with a verb or a noun, never with a question word. A class or module name means
one thing in the repository.
"""

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = (
    *("pipeline", "worker", "api", "transcoder"),
    *("cli", "stack", "examples", "khronika_video"),
)
QUESTION_WORDS = frozenset(
    {"what", "where", "whether", "whose", "who", "how", "which", "when", "why"}
)

SAME_MODULE_NOUN = {
    "accounts": "the provider accounts, as they are configured and as a page of the console",
    "app": "the application that a process runs: Celery's or Flask's",
    "assets": "the assets, as routes of the API and as pages of the console",
    "audit": "the audit events, recorded by the API and shown by the console",
    "backfill": "the registration of existing posts, a page and a whole table of them",
    "base": "the protocol that the modules of its folder implement",
    "beat": "the Celery application of a beat, which signs messages and runs no task",
    "celeryconfig": "the Celery settings of a worker",
    "changes": "the actions on a video, as routes of the API and as forms of the console",
    "env": "the name that Alembic loads a history's environment by",
    "gunicorn_settings": "the settings of a server of gunicorn's",
    "idempotency": "the idempotency keys, as rows and as a header",
    "models": "the tables of a schema",
    "parts": "the parts of an upload, as rules and as routes",
    "schema_history": "the migrations of a schema",
    "services": "the outside world of a process: engines, storage, providers",
    "settings": "the settings of a service",
    "store": "the guarded writes of a schema",
    "sweep": "the queries for work that is due, and what each wakes",
    "task_names": "the tasks and queues of a service, by name",
    "tasks": "the Celery tasks of a worker",
}
SAME_CLASS_NOUN = {
    "Base": "the declarative base of a schema's tables",
    "Post": "a post of the site, as the pipeline reads it and as the site keeps it",
    "Posts": "the site's posts, as the pipeline reads them and as the site keeps them",
    "Services": "the outside world of a process; the API adds to the pipeline's",
    "Settings": "the settings of a provider account, in the module of each adapter",
}

# Names with two meanings that are not renamed yet; to be emptied.
TWO_MEANINGS_YET: frozenset[str] = frozenset()


def sources() -> list[Path]:
    found = [path for folder in PRODUCT for path in sorted((ROOT / folder).rglob("*.py"))]
    return [ROOT / "celeryconfig.py", *found]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The docstrings of a module, those of its attributes included, with their lines."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text


def begins_with_question_word(text: str) -> bool:
    first = re.search(r"[A-Za-z]+", text)
    return first is not None and first.group().lower() in QUESTION_WORDS


def places_by_name() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    modules, classes = defaultdict(list), defaultdict(list)
    for path in sources():
        place = str(path.relative_to(ROOT))
        if not path.stem.startswith("__") and "versions" not in path.parts:
            modules[path.stem].append(place)
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                classes[node.name].append(f"{place}:{node.lineno}")
    return modules, classes


def patterns_not_rewritten() -> list[str]:
    """The files that pyproject.toml still exempts from D401; the list is to be emptied."""
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    return [name for name, rules in ruff["per-file-ignores"].items() if rules == ["D401"]]


@pytest.mark.parametrize(
    ("text", "is_question"),
    [
        ("Whether it is held.", True),
        ("``what`` it holds.", True),
        ("Whatever.", False),
        ("Return the rows.", False),
    ],
)
def test_a_question_word_is_recognised(text: str, is_question: bool) -> None:
    assert begins_with_question_word(text) is is_question


def test_no_docstring_begins_with_a_question_word() -> None:
    exempt = patterns_not_rewritten()
    riddles = []
    for path in sources():
        place = str(path.relative_to(ROOT))
        if any(fnmatch(place, pattern) for pattern in exempt):
            continue
        for line, text in docstrings(tree_of(path)):
            if begins_with_question_word(text):
                riddles.append(f"{place}:{line}: {text.splitlines()[0]}")
    assert riddles == []


@pytest.mark.parametrize("kind", ["modules", "classes"])
def test_a_name_has_one_meaning(kind: str) -> None:
    found = places_by_name()[kind == "classes"]
    allowed = SAME_CLASS_NOUN if kind == "classes" else SAME_MODULE_NOUN
    twice = {name: places for name, places in found.items() if len(places) > 1}

    unexplained = {
        name: places
        for name, places in twice.items()
        if name not in allowed and name not in TWO_MEANINGS_YET
    }
    assert unexplained == {}
    assert allowed.keys() - twice.keys() == set(), "these names occur once: drop their reasons"
