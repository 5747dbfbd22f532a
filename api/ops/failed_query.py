"""The filter of the failed list, read from and written to addresses."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from api.ops.pages import query_text, unknown_parameter
from pipeline.operations import console_failed


class Age(NamedTuple):
    """The age of a failure: at most, or at least."""

    label: str
    newer_than: timedelta | None = None
    older_than: timedelta | None = None


AGES: Mapping[str, Age] = {
    "hour": Age("in the last hour", newer_than=timedelta(hours=1)),
    "day": Age("in the last day", newer_than=timedelta(days=1)),
    "week": Age("in the last week", newer_than=timedelta(days=7)),
    "older": Age("more than a week ago", older_than=timedelta(days=7)),
}


@dataclass(frozen=True)
class FailedQuery:
    """The filter in the query of a page.

    Attributes:
        age: A key of ``AGES``.
    """

    code: str | None
    provider: str | None
    age: str | None

    def at(self, now: datetime) -> console_failed.FailedFilter:
        """Return the filter from a given instant on the database's clock."""
        age = AGES[self.age] if self.age else Age("")
        return console_failed.FailedFilter(
            code=self.code,
            provider=self.provider,
            since=now - age.newer_than if age.newer_than else None,
            until=now - age.older_than if age.older_than else now,
        )

    def query(self, **changes: str | None) -> str:
        """Return the filter as a query, with some members changed; empty for no filter."""
        members = {"code": self.code, "provider": self.provider, "age": self.age, **changes}
        named = {name: given for name, given in members.items() if given}
        return f"?{urlencode(named)}" if named else ""


def read_failed_query() -> FailedQuery:
    """Return the filter of the current request.

    Raises:
        Problem: 422 ``validation_failed``.
    """
    age = query_text("age")
    if age is not None and age not in AGES:
        raise unknown_parameter("age")
    return FailedQuery(query_text("code"), query_text("provider"), age)
