"""The database's clock: the one that deadlines, leases and polls are measured by."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func


def from_now(seconds: float) -> ColumnElement[datetime]:
    """Return the instant so many seconds ahead."""
    return func.clock_timestamp() + interval(seconds)


def interval(seconds: float) -> ColumnElement[timedelta]:
    """Return a duration."""
    return func.make_interval(0, 0, 0, 0, 0, 0, seconds)
