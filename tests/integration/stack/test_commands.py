"""What the commands print and refuse."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stack.commands import app
from stack.home import CHECKOUT, Home
from stack.process_environment import read_environment
from tests.integration.stack.conftest import Start
from tests.integration.stack.stack_runs import clean_environment


def stack(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stack", *arguments],
        cwd=CHECKOUT,
        env=clean_environment(home),
        capture_output=True,
        text=True,
        check=False,
    )


def test_env_prints_the_running_stacks_settings_for_a_shell(start: Start, place: Path) -> None:
    up = start(place)
    up.wait_until_ready()
    printed = stack(place, "env").stdout
    exported = subprocess.run(
        ["/bin/sh", "-c", 'eval "$1"; printf %s "$KHRONIKA_TRANSCODER_STORAGES"', "sh", printed],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert exported == read_environment(Home(place))["KHRONIKA_TRANSCODER_STORAGES"]
    assert all(shlex.split(line)[0] == "export" for line in printed.splitlines())

    up.stop()
    answer = stack(place, "env")
    assert answer.returncode == 1
    assert "no stack is running" in answer.stderr


@pytest.mark.parametrize("command", [[], ["up"], ["demo"], ["env"]])
def test_every_command_explains_itself(command: list[str]) -> None:
    answer = CliRunner().invoke(app, [*command, "--help"])
    assert answer.exit_code == 0
    assert "Usage: " in answer.output
