from collections.abc import Iterator
from itertools import repeat

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from api.wiring.rejection_alarm import WINDOW_SEC, RejectionAlarm


def alarms(times: Iterator[float], count: int, *, threshold: int = 3) -> int:
    """How often it is said, of so many rejections at these times."""
    alarm = RejectionAlarm(threshold, clock=lambda: next(times))
    with capture_logs() as logs:
        for _ in range(count):
            alarm.record("selfhosted", "bad_signature")
    for line in logs:
        assert (line["event"], line["log_level"]) == ("callbacks_rejected", "error")
        assert (line["provider"], line["rejected"]) == ("selfhosted", threshold)
    return len(logs)


@pytest.mark.parametrize(("count", "said"), [(2, 0), (3, 1), (1000, 1)])
def test_it_is_said_once_when_they_become_many(count: int, said: int) -> None:
    assert alarms(repeat(0.0), count) == said


def test_few_over_a_long_time_are_nothing() -> None:
    assert alarms(iter(range(0, 100_000, int(WINDOW_SEC))), 100) == 0


def test_it_is_said_again_while_it_lasts() -> None:
    assert alarms(iter(range(int(2.5 * WINDOW_SEC))), int(2.5 * WINDOW_SEC)) == 3


def test_accounts_are_counted_apart() -> None:
    alarm = RejectionAlarm(2, clock=lambda: 0.0)
    with capture_logs() as logs:
        alarm.record("one", "bad_signature")
        alarm.record("other", "bad_signature")
    assert logs == []


def test_each_is_counted_by_account_and_reason() -> None:
    labels = {"provider": "counted", "reason": "stale_timestamp"}
    RejectionAlarm(5).record("counted", "stale_timestamp")
    assert REGISTRY.get_sample_value("khronika_callbacks_rejected_total", labels) == 1
