"""Which videos are failed, by why: groups with counts, and pages of one group or of all."""

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
"""Matches are counted up to here: beyond it nobody decides by the exact number."""


@dataclass(frozen=True)
class FailedFilter:
    """Which failed videos are meant.

    Attributes:
        code: Their ``error_code``; None for any.
        provider: The account; None for any.
        since: Last changed then or later.
        until: Last changed then or earlier. A video that is retried and fails again has changed
            since, so that a bulk action with this bound takes up each of them once.
    """

    code: str | None = None
    provider: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The same as SQL."""
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
    """How many are failed with each code, most frequent first. Index only: ``video_assets_failed``.

    The filter's own code is left aside: the groups are what it is chosen from.
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
    """Those that match, most recently changed first, from ``before`` on.

    Keyset-paged over ``video_assets_failed`` where a code is given, else over
    ``video_assets_status_updated``; an account's are picked from what the index gives.
    """
    query = select(Asset).where(*wanted.conditions())
    if before is not None:
        query = query.where(tuple_(Asset.updated_at, Asset.id) < tuple_(*before))
    # All rows have one status and, where it is given, one code: naming them in the order lets the
    # planner see that the index has it, which row-level security keeps it from concluding.
    first = Asset.status.desc() if wanted.code is None else Asset.error_code.desc()
    order = (first, Asset.updated_at.desc(), Asset.id.desc())
    return session.scalars(query.order_by(*order).limit(limit)).all()


def count(session: Session, wanted: FailedFilter) -> int:
    """How many match; ``COUNTED + 1`` stands for more than ``COUNTED``."""
    found = select(literal(1)).where(*wanted.conditions()).limit(COUNTED + 1).subquery()
    return session.scalars(select(func.count()).select_from(found)).one()


def still_failed(session: Session, asset_ids: Sequence[UUID]) -> Sequence[Asset]:
    """Those of these assets that are failed now. Index: the primary key."""
    return session.scalars(
        select(Asset).where(Asset.id.in_(asset_ids), *FailedFilter().conditions())
    ).all()


def database_time(session: Session) -> datetime:
    """The database's clock, which ``updated_at`` goes by."""
    now: datetime = session.scalars(select(func.clock_timestamp())).one()
    return now
