"""One stack for every acceptance test, with a tap between it and its provider."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests import clips
from tests.acceptance.sources import HANG
from tests.acceptance.stage import Stage, Video, open_stage, settings_for
from tests.acceptance.tap import Tap, open_tap
from tests.running import RunningStack

MAX_BYTES = 8 * 1024 * 1024
MAX_DURATION_SEC = 30
SMALL_LIMITS = {
    "KHRONIKA_SOURCE_MAX_BYTES": str(MAX_BYTES),
    "KHRONIKA_SOURCE_MAX_DURATION_SEC": str(MAX_DURATION_SEC),
}
"""So that a source over the limits is made in a moment."""

ISSUER = {
    "issuer": "elsewhere",
    "audience": "people",
    "algorithm": "HS256",
    "secret": "of-an-issuer-that-nobody-here-has-a-token-of",
}
"""One more, whose secret is looked for with the others."""


@pytest.fixture(scope="session")
def tap() -> Iterator[Tap]:
    with open_tap() as tap:
        yield tap


@pytest.fixture(scope="session")
def stack_settings(tap: Tap) -> Mapping[str, str]:
    # Every line that could be written is, for what is kept is searched for secrets at the end.
    issuers = {"KHRONIKA_JWT_ISSUERS": json.dumps([ISSUER])}
    return {**settings_for(tap), **SMALL_LIMITS, **issuers, "KHRONIKA_LOG_LEVEL": "DEBUG"}


@pytest.fixture(scope="session")
def stage(
    running_stack: RunningStack, tap: Tap, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("acceptance")
    with open_stage(running_stack, tap, folder) as stage:
        yield stage


@pytest.fixture(scope="session", autouse=True)
def hanging(stage: Stage) -> Video:
    """Begun before every other test: it is over after three read timeouts of 15 s."""
    source = stage.sources.offer(clips.widescreen(stage.folder, stage.tools), always=HANG)
    return stage.register(source.url, title="A source that hangs")
