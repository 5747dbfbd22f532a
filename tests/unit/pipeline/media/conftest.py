import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.media.tools import Tools, locate_tools
from tests.clips import Kind


@pytest.fixture(scope="session")
def tools() -> Tools:
    return locate_tools(os.environ)


@pytest.fixture(scope="session")
def make(tools: Tools, clip_folder: Path) -> Callable[[Kind], Path]:
    """Makes a clip of a kind, once a run."""
    return lambda kind: kind(clip_folder, tools)


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    """Makes an executable out of the lines of a shell script."""

    def write(script: str) -> str:
        path = tmp_path / "program"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return write
