"""The servers run the workers that their configuration names, whatever else names others."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.integration.stack.procfile_runs import COMMANDS, START_SEC, StartProcess

OTHER = "--worker-class gthread"


@pytest.mark.parametrize("name", ["web", "transcoder"])
@pytest.mark.parametrize("place", ["command line", "environment"])
def test_a_server_that_is_told_to_run_other_workers_does_not_start(
    whole: Mapping[str, str], start_process: StartProcess, tmp_path: Path, name: str, place: str
) -> None:
    told = {} if place == "command line" else {"GUNICORN_CMD_ARGS": OTHER}
    line = f"{COMMANDS[name]} {OTHER}" if place == "command line" else COMMANDS[name]

    process = start_process(name, {**whole, **told}, line=line)

    assert process.wait(START_SEC) == 1
    log = (tmp_path / "log").read_text()
    assert "--worker-class: another class of worker" in log
    assert "Booting worker" not in log
