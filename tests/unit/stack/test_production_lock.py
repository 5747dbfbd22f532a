"""The lock of production: a part of the whole lock, without the tools of tests."""

import re
import tomllib
from pathlib import Path

from stack.licences import LOCK, ROOT

PRODUCTION = ROOT / "requirements.production.lock"
_ENTRY = re.compile(r"^([a-z0-9.-]+)==([^\s;\\]+)(.*(?:\n[ \t]+--hash=.*)*)", re.MULTILINE)


def entries(lock: Path) -> dict[tuple[str, str], frozenset[str]]:
    """The hashes of each package and version."""
    return {
        (name, version): frozenset(re.findall(r"sha256:([0-9a-f]{64})", rest))
        for name, version, rest in _ENTRY.findall(lock.read_text())
    }


def named(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[>=<~ ]", each)[0].lower() for each in requirements}


def test_it_is_a_part_of_the_whole_lock_with_the_same_versions_and_hashes() -> None:
    production, whole = entries(PRODUCTION), entries(LOCK)
    assert len(production) > 50
    assert all(production.values())
    assert production.items() <= whole.items()


def test_it_has_what_production_declares_and_no_tool_of_tests() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    locked = {name for name, _ in entries(PRODUCTION)}
    wanted = named(project["dependencies"]) | named(extras["production"])
    assert wanted <= locked
    assert locked & (named(extras["dev"]) | named(extras["local"])) <= wanted


def test_every_install_from_a_lock_takes_wheels_with_hashes_only() -> None:
    text = "".join((ROOT / name).read_text() for name in ("Makefile", "docs/supply-chain.md"))
    lines = [line for line in text.splitlines() if re.search(r"pip (install|sync) .*\.lock", line)]
    assert len(lines) == 4
    assert [line for line in lines if "--only-binary :all:" not in line] == []
    assert [line for line in lines if "--require-hashes" not in line] == []
