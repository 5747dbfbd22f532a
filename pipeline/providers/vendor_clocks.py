"""Readings of vendors' clocks: the header ``Date`` of their answers (RFC 9110, section 6.6.1).

Signatures and tokens have times, so a vendor whose clock is far from ours refuses us, or we it. The
readings are taken only where they are asked for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_APART_SEC: ContextVar[list[float] | None] = ContextVar("apart_sec", default=None)


@contextmanager
def reading_clocks() -> Iterator[list[float]]:
    """Collect the seconds by which vendors' clocks are ahead of ours, one for each answer."""
    readings: list[float] = []
    token = _APART_SEC.set(readings)
    try:
        yield readings
    finally:
        _APART_SEC.reset(token)


def note_date(date: str | None) -> None:
    """Compare the time of an answer with ours, if readings are collected. It has whole seconds."""
    readings = _APART_SEC.get()
    if readings is None or not date:
        return
    try:
        instant = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    readings.append((aware - datetime.now(UTC)).total_seconds())
