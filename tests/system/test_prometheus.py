"""The files of deploy/ for Prometheus, and the dashboard's questions, as Prometheus reads them."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from stack.dashboard import ROWS
from stack.home import CHECKOUT

PROGRAM = shutil.which("promtool")

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(PROGRAM is None, reason="promtool is missing: apt-get install prometheus"),
]


def check(*arguments: str | Path) -> str:
    """Return what promtool found wrong; empty if it is content."""
    ran = subprocess.run(
        ["promtool", "check", *arguments], capture_output=True, text=True, check=False
    )
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


def test_the_alerts_are_rules() -> None:
    assert check("rules", CHECKOUT / "deploy/alerts.rules.yml") == ""


def test_the_example_is_a_configuration() -> None:
    assert check("config", "--syntax-only", CHECKOUT / "deploy/prometheus.yml") == ""


def test_the_questions_of_the_dashboard_are_expressions(tmp_path: Path) -> None:
    asked = [
        expression
        for panels in ROWS.values()
        for panel in panels
        for expression in panel.asked.values()
    ]
    rules = [{"record": f"asked:{number}", "expr": each} for number, each in enumerate(asked)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    assert check("rules", file) == ""


def test_promtool_finds_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text("groups: [{name: x, rules: [{record: a, expr: 'sum('}]}]")
    assert "parse" in check("rules", file)
