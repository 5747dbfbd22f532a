"""The database's clock, which measures deadlines, leases and polls."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func


def from_now(seconds: float) -> ColumnElement[datetime]:
    """Return the instant that is this many seconds ahead."""
    return func.clock_timestamp() + interval(seconds)


def interval(seconds: float) -> ColumnElement[timedelta]:
    """Return a duration of this many seconds."""
    return func.make_interval(0, 0, 0, 0, 0, 0, seconds)
