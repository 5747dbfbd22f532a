"""The world of tests/integration/pipeline, in which nothing falls due by itself."""

import pytest

from tests.integration.pipeline.conftest import (  # noqa: F401 - fixtures are found by name
    outputs_folder,
    provider,
    services,
    settings,
    world,
)
from tests.stateful.patience import LONG_WAITS


@pytest.fixture(autouse=True)
def long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in LONG_WAITS.items():
        monkeypatch.setenv(name, value)
