"""The JavaScript of web/ by Node's own test runner, and what the folder promises as a whole."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from api.routes.web import ROOT
from pipeline.domain.failures import FAILURES

ENGLISH = ("words.js", "player/owner-state.js", "player/retry-video.js")
GEORGIAN = ("player/words.ka.js", "player/words.owner.ka.js")
HERE = Path(__file__).parent
NODE = Path(sys.executable).with_name("node")
SUITES = sorted(path.name for path in HERE.glob("*.test.mjs"))


@pytest.mark.parametrize("suite", SUITES)
def test_the_javascript_does_what_its_own_tests_say(suite: str) -> None:
    done = subprocess.run(
        [NODE, "--test", "--test-reporter=spec", HERE / suite],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fail 0" in done.stdout


def test_the_library_is_asked_for_in_the_version_that_is_pinned() -> None:
    pinned = json.loads((ROOT / "package.json").read_text())["dependencies"]["hls.js"]
    assert f"vendor/hls.js/{pinned}/" in (ROOT / "player" / "playback.js").read_text()


def test_the_lock_names_no_place_to_download_from() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []
    without = [name for name, package in packages.items() if name and "integrity" not in package]
    assert without == []


def test_georgian_says_everything_that_english_does_and_every_failure() -> None:
    english, georgian = map(_keys_of, (ENGLISH, GEORGIAN))
    assert english - georgian == {"percent"}  # a number alone
    errors = {f"error.{code}" for code in FAILURES}
    assert georgian - english == errors


def test_refusals_that_georgian_explains_are_ones_that_the_api_answers() -> None:
    explained = re.findall(r'"error\.(\w+)"', (ROOT / "composer" / "words.js").read_text())
    ours = [*(ROOT.parent / "api").rglob("*.py"), *(ROOT.parent / "pipeline").rglob("*.py")]
    sources = "".join(path.read_text() for path in ours)
    assert [code for code in explained if f'"{code}"' not in sources] == []
    assert explained


def _keys_of(modules: Iterable[str]) -> set[str]:
    """The keys of the words in these modules."""
    key = re.compile(r'^  "?([\w.]+)"?: ["\n]', re.MULTILINE)
    return {found for name in modules for found in key.findall((ROOT / name).read_text())}
