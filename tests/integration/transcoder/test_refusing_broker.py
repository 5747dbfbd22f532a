"""The transcoder's worker waits for a broker that answers and refuses, as the pipeline's does."""

from collections.abc import Callable

import pytest

from tests.integration.transcoder.conftest import Worker, eventually
from tests.integration.worker.test_refusing_broker import REFUSALS, REFUSED, broker_url, tell

__all__ = ["broker_url", "tell"]


@pytest.mark.parametrize("name", ["READONLY", "NOREPLICAS"])  # a full broker lets a worker wait
def test_a_worker_waits_and_runs_what_comes_after(
    worker: Worker, tell: Callable[[tuple[str, ...]], None], name: str
) -> None:
    def log() -> str:
        return worker.log.read_text(errors="replace")

    eventually("it is ready", lambda: " ready." in log())
    tell(REFUSALS[name].begin)
    eventually("it is refused", lambda: REFUSED in log())
    assert worker.process.poll() is None
    tell(REFUSALS[name].end)
    before = len(log())
    eventually("a sweep has run", lambda: " succeeded in " in log()[before:])
    assert worker.process.poll() is None
