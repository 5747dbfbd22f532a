import pytest
import structlog

from api.live import hub
from api.wiring import rejection_alarm


@pytest.fixture(autouse=True)
def _logs_that_nobody_has_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A logger keeps the processors of its first line for ever; ours may have written before."""
    for module in (rejection_alarm, hub):
        monkeypatch.setattr(module, "log", structlog.get_logger())
