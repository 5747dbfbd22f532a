"""The command that attacks a production, run once."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from stack.home import CHECKOUT
from stack.processes import spawn, stop_child
from tests.attack import database
from tests.attack.rows import Row, render
from tests.attack.target import became_so, running_target

PATIENCE_SEC = 840
STOP_SEC = 60.0
"""Time for the command to end the processes of its production."""


@contextmanager
def running_attacks(log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command for the length of the block; nothing that it started outlives the block."""
    with log.open("wb") as output:
        child = spawn(
            [sys.executable, "-W", "ignore", "-m", "tests.attack"],
            death_signal=signal.SIGTERM,
            cwd=CHECKOUT,
            env=os.environ,
            output=output,
        )
    try:
        yield child
    finally:
        stop_child(child, [(signal.SIGTERM, STOP_SEC)])


def test_every_defence_holds(tmp_path: Path) -> None:
    with running_attacks(log := tmp_path / "log") as command:
        code = command.wait(PATIENCE_SEC)
    printed = log.read_text()
    assert code == 0, printed
    for kind in ("decoder take-over", "source redirect", "database login", "dripping clients"):
        assert kind in printed
    for kind in ("parallel complete", "withdrawn video", "open production", "broker forgery"):
        assert kind in printed
    for kind in ("header tricks", "credentials at rest", "audit", "existence", "foreign role"):
        assert kind in printed


def test_nothing_of_an_attack_outlives_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable, value = "ATTACK_UNDER_TEST", tmp_path.name
    monkeypatch.setenv(variable, value)

    def its_processes() -> list[list[str]]:
        return [
            each.info["cmdline"]
            for each in psutil.process_iter(["cmdline", "environ"])
            if each.pid != os.getpid() and (each.info["environ"] or {}).get(variable) == value
        ]

    with running_attacks(tmp_path / "log") as command:
        assert became_so(lambda: any("gunicorn" in " ".join(each) for each in its_processes()))
        assert command.poll() is None
    assert its_processes() == []


RIGHTS_TOO_MANY = {
    "GRANT UPDATE ON audit_events TO khronika_api": {"api: change the audit"},
    "GRANT DELETE ON audit_events TO khronika_operator": {"operator: remove from the audit"},
    "GRANT UPDATE ON api_keys TO khronika_worker": {"worker: widen an API key"},
    "GRANT UPDATE ON video_assets TO khronika_public": {
        "public: give a video away",
        "public: show a signed video to everybody",
    },
    "ALTER TABLE video_assets DISABLE ROW LEVEL SECURITY": {"api: read as a stranger"},
}


def test_a_right_too_many_is_noticed() -> None:
    with running_target() as target, psycopg.connect(target.logins["admin"]) as admin:
        for statement in RIGHTS_TOO_MANY:
            admin.execute(statement.encode())
        admin.commit()
        unheld = {row.tried for row in database.attack(target) if not row.held}
    assert unheld == set().union(*RIGHTS_TOO_MANY.values())


def test_a_defence_that_does_not_hold_is_shown() -> None:
    rows = [Row("a", "b", "404", "404"), Row("a", "c", "404", "200")]
    assert [line.split()[-1] for line in render(rows).splitlines()[2:]] == ["yes", "NO"]
