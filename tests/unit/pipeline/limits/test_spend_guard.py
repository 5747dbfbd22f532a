from datetime import UTC, datetime, timedelta

import pytest

from pipeline.limits.spend_guard import media_sec_of, sec_to_next_hour
from pipeline.records.models import Asset


@pytest.mark.parametrize(
    ("clock", "left_sec"),
    [("10:00:00", 3600), ("10:20:00.500000", 2399.5), ("10:59:59", 1), ("23:30:00", 1800)],
)
def test_the_next_hour_is_that_of_the_clock(clock: str, left_sec: float) -> None:
    now = datetime.fromisoformat(f"2030-01-01T{clock}+00:00")

    assert sec_to_next_hour(now) == left_sec
    assert (now + timedelta(seconds=left_sec)).astimezone(UTC).minute == 0


@pytest.mark.parametrize(
    ("measured", "charged", "known"), [(5.5, 9.0, 5.5), (None, 9.0, 9.0), (None, None, 0.0)]
)
def test_what_was_measured_is_believed_before_what_was_said(
    measured: float | None, charged: float | None, known: float
) -> None:
    assert media_sec_of(Asset(duration_sec=measured, charged_sec=charged)) == known
