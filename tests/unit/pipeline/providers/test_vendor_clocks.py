"""Readings of vendors' clocks."""

from email.utils import formatdate

import pytest

from pipeline.providers.vendor_clocks import note_date, reading_clocks


def test_readings_end_with_a_block_that_fails() -> None:
    with pytest.raises(ZeroDivisionError), reading_clocks() as readings:
        1 // len(readings)

    note_date(formatdate(usegmt=True))

    assert readings == []


@pytest.mark.parametrize(
    "date",
    [
        None,
        "",
        "soon",
        "Mon, 99 Jan 2024 00:00:00 GMT",
        "Mon, 01 Jan 2024 00:00:00 +99999999999999",
    ],
    ids=["absent", "empty", "no date", "no day", "no zone"],
)
def test_a_date_that_cannot_be_read_is_no_reading(date: str | None) -> None:
    with reading_clocks() as readings:
        note_date(date)

    assert readings == []
