"""The whole API against its own OpenAPI document, asked by schemathesis."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.integration.api.conftest import Client, token

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


@pytest.fixture
def environment(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """Streams that end before whoever asks loses patience, and room for all that is sent."""
    changed = {"KHRONIKA_STREAM_LIFE_SEC": "0.05", "KHRONIKA_OWNER_MAX_UPLOADS": "100000"}
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    return {**environment, **changed}


@pytest.mark.parametrize("role", ["authenticated", "service_role"])
def test_every_answer_to_whatever_is_asked_is_a_documented_one(
    api: Client, role: str, tmp_path: Path
) -> None:
    asked = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli"),
            *("--config-file", str(HERE / "schemathesis.toml")),
            *("run", f"{api.url}/openapi.json"),
            *("--header", f"Authorization: Bearer {token('ana', role=role)}"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stdout + asked.stderr
