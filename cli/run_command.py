"""The command that becomes a process of the product."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from cli.command_errors import CommandFailed, ExitCode
from cli.command_output import CommandOutput
from cli.options import with_output
from khronika_video.own_modules import require_own_modules
from khronika_video.product_files import product_file

SHELL = "/bin/sh"
_LINE = re.compile(r"^([\w-]+):\s*(.+)$", re.MULTILINE)


@with_output
def run(
    _output: CommandOutput,
    name: Annotated[str, typer.Argument(help="Its name in the Procfile, such as web or worker.")],
) -> None:
    """Run a process of the product in the place of this one.

    It runs the line of the Procfile, with the environment that this command has; docs/settings.md
    lists the variables of each process. Signals reach the process itself.
    """
    lines = command_lines()
    if name not in lines:
        raise CommandFailed(
            ExitCode.USAGE,
            "no_such_process",
            f"There is no process {name}.",
            f"Name one of: {', '.join(lines)}.",
        )
    require_own_modules(str(Path.cwd()))  # gunicorn and Celery import from it before all others
    arguments = [SHELL, "-c", f"exec {lines[name]}"]
    os.execve(SHELL, arguments, _with_own_programs(os.environ))  # noqa: S606 - it is one


def command_lines() -> Mapping[str, str]:
    """Return the command line of each process of the Procfile, by name."""
    return dict(_LINE.findall(product_file("Procfile").read_text()))


def _with_own_programs(env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which ``gunicorn`` and ``celery`` are those of this installation."""
    programs = str(Path(sys.executable).parent)
    return {**env, "PATH": os.pathsep.join([programs, env.get("PATH", os.defpath)])}
