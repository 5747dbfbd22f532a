"""The whole API against its own OpenAPI document, asked by schemathesis."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.access.api_keys import NewKey, make_key
from pipeline.media.tools import Tools
from pipeline.records.models import Asset, Delivery
from pipeline.runtime.database import make_engine, session_of
from tests import clips
from tests.integration.api.conformance_report import finished_phases, followed
from tests.integration.api.conftest import Client, World, token

HERE = Path(__file__).parent
ROOT = HERE.parents[2]

OF_A_VIDEO = frozenset(
    {
        *("get_assets_read", "get_assets_events", "get_lists_playback", "post_assets_retry"),
        *("post_changes_cancel", "post_changes_reencode", "delete_changes_delete"),
    }
)
OF_AN_UPLOAD = frozenset(
    {
        *("get_uploads_progress", "put_uploads_content", "post_uploads_complete"),
        *("put_parts_receive", "post_parts_sign", "post_parts_confirm", "delete_uploads_abandon"),
    }
)


@pytest.fixture
def environment(
    environment: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tools: Tools,
) -> Mapping[str, str]:
    """Streams that end before whoever asks loses patience, room for all that is sent, and a video
    for the hooks to send.
    """
    changed = {
        "KHRONIKA_STREAM_LIFE_SEC": "0.05",
        "KHRONIKA_OWNER_MAX_UPLOADS": "100000",
        "KHRONIKA_CONFORMANCE_CLIP": str(clips.very_short(tmp_path, tools)),
    }
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    return {**environment, **changed}


def ask(api: Client, credential: str, folder: Path, *options: str) -> Path:
    """Have everything asked that the options leave; the report of it."""
    report = folder / "events.ndjson"
    asked = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli"),
            *("--config-file", str(HERE / "schemathesis.toml")),
            *("run", f"{api.url}/openapi.json", *options),
            *("--header", f"Authorization: Bearer {credential}"),
            *("--report", "ndjson", "--report-ndjson-path", str(report)),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stdout + asked.stderr
    return report


# Coverage tries what a schema rules out, which is refused to everybody alike: once will do.
@pytest.mark.parametrize(
    ("role", "phases"),
    [
        ("authenticated", ("fuzzing", "stateful")),
        ("service_role", ("coverage", "fuzzing", "stateful")),
    ],
)
def test_every_answer_to_whatever_is_asked_is_a_documented_one(
    api: Client, world: World, role: str, phases: tuple[str, ...], tmp_path: Path
) -> None:
    report = ask(api, token("ana", role=role), tmp_path, "--phases", ",".join(phases))

    ended = finished_phases(report)
    assert {phase: ended[phase] for phase in phases} == dict.fromkeys(phases, "success")
    # Which links are followed how often is left to chance; that it gets far on them is not.
    succeeded = {name for name, statuses in followed(report).items() if min(statuses) < 300}
    assert len(succeeded & OF_A_VIDEO) >= 2
    assert len(succeeded & OF_AN_UPLOAD) >= 3
    assert world.count(Delivery) >= 1
    assert any(asset.upload_id for asset in world.all(Asset))


def test_every_answer_to_a_server_that_may_only_read_is_a_documented_one(
    api: Client, role_urls: Mapping[str, str], tmp_path: Path
) -> None:
    operator = make_engine(role_urls["operator"], pool_size=1)
    with session_of(operator) as session:
        wanted = NewKey("reads", None, ("operator:read",), None)
        key = make_key(session, wanted, actor="operator:ops", source="desk").key
    operator.dispose()

    report = ask(api, key, tmp_path, "--phases", "fuzzing", "--include-method", "GET")

    assert finished_phases(report)["fuzzing"] == "success"
