"""One stack for every acceptance test, with a tap between it and its provider."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.acceptance.stage import Stage, open_stage, settings_for
from tests.acceptance.tap import Tap, open_tap
from tests.running import RunningStack


@pytest.fixture(scope="session")
def tap() -> Iterator[Tap]:
    with open_tap() as tap:
        yield tap


@pytest.fixture(scope="session")
def stack_settings(tap: Tap) -> Mapping[str, str]:
    return settings_for(tap)


@pytest.fixture(scope="session")
def stage(
    running_stack: RunningStack, tap: Tap, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("acceptance")
    with open_stage(running_stack, tap, folder) as stage:
        yield stage
