"""What the failed list is narrowed by, as an address says it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from api.ops.pages import words, wrong
from pipeline.operations import console_failed


class Age(NamedTuple):
    """How long ago a video failed: at most, or at least."""

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
class Asked:
    """The filter of a page.

    Attributes:
        age: A key of ``AGES``.
    """

    code: str | None
    provider: str | None
    age: str | None

    def at(self, now: datetime) -> console_failed.FailedFilter:
        """The same, from a given instant on the database's clock."""
        age = AGES[self.age] if self.age else Age("")
        return console_failed.FailedFilter(
            code=self.code,
            provider=self.provider,
            since=now - age.newer_than if age.newer_than else None,
            until=now - age.older_than if age.older_than else now,
        )

    def query(self, **changes: str | None) -> str:
        """The filter as a query, with some of it changed; nothing for no filter."""
        members = {"code": self.code, "provider": self.provider, "age": self.age, **changes}
        named = {name: given for name, given in members.items() if given}
        return f"?{urlencode(named)}" if named else ""


def asked() -> Asked:
    """The filter of the present request.

    Raises:
        Problem: 422 ``validation_failed``.
    """
    age = words("age")
    if age is not None and age not in AGES:
        raise wrong("age")
    return Asked(words("code"), words("provider"), age)
