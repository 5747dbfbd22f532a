"""The command that attacks a production, run once."""

import subprocess
import sys

from stack.home import CHECKOUT
from tests.attack.rows import Row, render

PATIENCE_SEC = 840


def test_every_defence_holds() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.attack"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SEC,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for kind in ("decoder take-over", "source redirect", "database login", "dripping clients"):
        assert kind in done.stdout
    for kind in ("parallel complete", "withdrawn video", "open production", "broker forgery"):
        assert kind in done.stdout
    for kind in ("header tricks", "credentials at rest", "audit", "existence", "foreign role"):
        assert kind in done.stdout


def test_a_defence_that_does_not_hold_is_shown() -> None:
    rows = [Row("a", "b", "404", "404"), Row("a", "c", "404", "200")]
    assert [line.split()[-1] for line in render(rows).splitlines()[2:]] == ["yes", "NO"]
