"""Queries for the console's failed videos: groups by error code, and pages of videos."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal, select, tuple_
from sqlalchemy.orm import Session

from pipeline.domain.states import Status
from pipeline.records.models import Asset
from pipeline.records.queries import PageCursor

COUNTED = 10_000
"""Matches are counted up to here; no decision needs a larger exact number."""


@dataclass(frozen=True)
class FailedFilter:
    """Filter of the failed videos.

    Attributes:
        code: The ``error_code``; None for any.
        provider: The provider account; None for any.
        since: Earliest last change.
        until: Latest last change. A video that is retried and fails again has changed later, so
            that a bulk action with this limit retries each video once.
    """

    code: str | None = None
    provider: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the filter as SQL conditions."""
        chosen: list[ColumnElement[bool]] = [
            Asset.status == Status.FAILED,
            Asset.deleted_at.is_(None),
        ]
        if self.code is not None:
            chosen.append(Asset.error_code == self.code)
        if self.provider is not None:
            chosen.append(Asset.provider == self.provider)
        if self.since is not None:
            chosen.append(Asset.updated_at >= self.since)
        if self.until is not None:
            chosen.append(Asset.updated_at <= self.until)
        return chosen


class Group(NamedTuple):
    """The failed videos of one code."""

    code: str
    total: int
    oldest_at: datetime
    newest_at: datetime


def groups(session: Session, wanted: FailedFilter) -> Sequence[Group]:
    """Count the failed videos of each code, most frequent first.

    The filter's own code is ignored: the operator chooses it from the groups. Index only:
    ``video_assets_failed``.
    """
    total = func.count().label("total")
    rows = session.execute(
        select(Asset.error_code, total, func.min(Asset.updated_at), func.max(Asset.updated_at))
        .where(*replace(wanted, code=None).conditions())
        .group_by(Asset.error_code)
        .order_by(total.desc(), Asset.error_code)
    )
    return [
        Group(str(code), total, oldest_at, newest_at) for code, total, oldest_at, newest_at in rows
    ]


def page(
    session: Session, wanted: FailedFilter, *, before: PageCursor | None, limit: int
) -> Sequence[Asset]:
    """Return matching videos after the cursor ``before``, most recently changed first.

    Keyset-paged over ``video_assets_failed`` with a code, else over
    ``video_assets_status_updated``. The account is filtered after the index.
    """
    query = select(Asset).where(*wanted.conditions())
    if before is not None:
        query = query.where(tuple_(Asset.updated_at, Asset.id) < tuple_(*before))
    # All rows have one status, and one code if it is given. The order names them so that the
    # planner uses the index's order; row-level security keeps it from concluding this itself.
    first = Asset.status.desc() if wanted.code is None else Asset.error_code.desc()
    order = (first, Asset.updated_at.desc(), Asset.id.desc())
    return session.scalars(query.order_by(*order).limit(limit)).all()


def count(session: Session, wanted: FailedFilter) -> int:
    """Count the matches; ``COUNTED + 1`` stands for more than ``COUNTED``."""
    found = select(literal(1)).where(*wanted.conditions()).limit(COUNTED + 1).subquery()
    return session.scalars(select(func.count()).select_from(found)).one()


def still_failed(session: Session, asset_ids: Sequence[UUID]) -> Sequence[Asset]:
    """Return the assets among these that are failed now. Index: the primary key."""
    return session.scalars(
        select(Asset).where(Asset.id.in_(asset_ids), *FailedFilter().conditions())
    ).all()


def database_time(session: Session) -> datetime:
    """Return the time of the database's clock, which sets ``updated_at``."""
    now: datetime = session.scalars(select(func.clock_timestamp())).one()
    return now
