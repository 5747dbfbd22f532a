"""What one owner may have in flight and register in a day.

Create counts itself in and is undone where that is too much: owners' creates take turns at the
owner's lock and at the row of the day, so that two at the limit cannot both pass.

Nothing is given back: what a day's quota bounds is what a day costs, and a video that is deleted or
failed has cost all the same. A retry and a re-encode charge no day, because they are rare, have
limits of their own, and would make owners pay for our failures; they are in flight like any other.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from pipeline.config.limit_settings import OwnerLimitSettings
from pipeline.domain.errors import LimitReached
from pipeline.limits.spend_guard import KEPT_DAYS
from pipeline.media.source_info import Measured
from pipeline.records.models import Asset
from pipeline.runtime.database import lock_timed_out

IN_FLIGHT_RETRY_SEC = 30
"""What an owner with too much in flight is told to wait: about as long as a short clip takes."""
BUSY_RETRY_SEC = 1
"""Requests of one owner take turns, and each takes milliseconds."""

DECLARED_SHORT_SEC = 0.5
"""What a client declares is rounded: by so much a video may be longer and is not refused for it."""

# To the day on which it is found out: what its own day was too short for, another has room for.
BOOK = text("""
    INSERT INTO owner_usage AS booked (owner_id, day, assets, bytes, media_sec)
    VALUES (:owner_id, CAST(timezone('UTC', now()) AS date), 0,
            greatest(0, CAST(:bytes AS bigint)),
            greatest(0, CAST(:media_sec AS double precision)))
    ON CONFLICT (owner_id, day) DO UPDATE
        SET bytes = greatest(0, booked.bytes + CAST(:bytes AS bigint)),
            media_sec = greatest(0, booked.media_sec + CAST(:media_sec AS double precision))
    RETURNING bytes, media_sec,
        CAST(ceil(86400 - extract(epoch FROM CAST(timezone('UTC', now()) AS time))) AS integer)
            AS resets_in_sec
""")


@dataclass(frozen=True)
class OwnerLoad:
    """How an owner stands, the asset that is being registered included.

    Attributes:
        live_assets: Queued, retrying or processing, and not deleted.
        day_assets: Registered since midnight, UTC; so are the bytes and the seconds of video.
        resets_in_sec: Until the next midnight, UTC.
    """

    live_assets: int
    day_assets: int
    day_bytes: int
    day_media_sec: float
    resets_in_sec: int


def refuse_excess(limits: OwnerLimitSettings, charged: Asset, load: OwnerLoad) -> None:
    """Refuse what is over a limit; whoever calls must undo what was counted in.

    Raises:
        LimitReached: ``too_many_in_flight``, ``quota_exceeded``.
    """
    _refuse_crowd(limits, load.live_assets)
    _refuse_exceeded(_quotas(limits, charged, load), load.resets_in_sec)


def refuse_one_more_live(
    session: Session, limits: OwnerLimitSettings, started: Asset, *, actor: str
) -> None:
    """Refuse what an owner starts over beyond what may be in flight; operators may all the same.

    Whoever calls has started it already, so that it is counted, and must undo it.

    Args:
        actor: Who does it. That an owner's own is ``owner:…`` the database sees to.

    Raises:
        LimitReached: ``too_many_in_flight``, ``owner_busy``.
    """
    if not actor.startswith("owner:"):
        return
    with owner_is_busy():
        live_assets = session.scalars(select(func.khronika_live_assets(started.owner_id))).one()
    _refuse_crowd(limits, live_assets)


def _refuse_exceeded(quotas: Iterable["_Quota"], resets_in_sec: int) -> None:
    for quota in quotas:
        if quota.is_exceeded:
            raise LimitReached(
                "quota_exceeded",
                f"{quota.told} It begins anew at midnight, UTC.",
                retry_after_sec=resets_in_sec,
                **quota.numbers,
            )


def _refuse_crowd(limits: OwnerLimitSettings, live_assets: int) -> None:
    if live_assets > limits.max_live:
        raise LimitReached(
            "too_many_in_flight",
            f"At most {limits.max_live} of an owner's videos may be in progress at once. "
            "Come again with this one when one of them is done.",
            retry_after_sec=IN_FLIGHT_RETRY_SEC,
            limit=limits.max_live,
            used=live_assets - 1,
        )


@contextmanager
def owner_is_busy() -> Iterator[None]:
    """Around what takes turns with the owner's other requests: a lock was not granted in time.

    Raises:
        LimitReached: ``owner_busy``.
    """
    try:
        yield
    except OperationalError as error:
        if not lock_timed_out(error):
            raise
        raise LimitReached(
            "owner_busy",
            "Too many requests of this owner's are just being carried out.",
            retry_after_sec=BUSY_RETRY_SEC,
        ) from error


@dataclass(frozen=True)
class _Quota:
    name: str
    unit: str
    limit: float | None
    used: float
    asked: float

    @property
    def is_exceeded(self) -> bool:
        """Also where nothing more is left and nobody said how much is asked."""
        if self.limit is None:
            return False
        return self.used >= self.limit or self.used + self.asked > self.limit

    @property
    def told(self) -> str:
        return (
            f"An owner may register {self.limit:.0f} {self.unit} a day: "
            f"{self.used:.0f} are used, and this video needs {self.asked:.0f}."
        )

    @property
    def numbers(self) -> Mapping[str, Any]:
        return {"quota": self.name, "limit": self.limit, "used": self.used, "asked": self.asked}


def _quotas(limits: OwnerLimitSettings, charged: Asset, now: OwnerLoad) -> tuple[_Quota, ...]:
    size, length = charged.charged_bytes or 0, charged.charged_sec or 0.0
    return (
        _Quota("assets", "videos", limits.daily_assets, now.day_assets - 1, 1),
        _bytes_quota(limits, now.day_bytes, size),
        _length_quota(limits, now.day_media_sec, length),
    )


def _bytes_quota(limits: OwnerLimitSettings, booked: int, asked: int) -> _Quota:
    return _Quota("bytes", "bytes", limits.daily_bytes, booked - asked, asked)


def _length_quota(limits: OwnerLimitSettings, booked_sec: float, asked_sec: float) -> _Quota:
    used_sec = round(booked_sec - asked_sec, 3)
    return _Quota("media_sec", "seconds of video", limits.daily_media_sec, used_sec, asked_sec)


def book_measured(
    session: Session, limits: OwnerLimitSettings, asset: Asset, measured: Measured
) -> None:
    """Charge the owner's day with what a source was found to be, in place of what was said.

    Once in an asset's life: the caller writes ``source_info`` in the same transaction, under the
    asset's guard, and from then on there is nothing to book. What was said truly was let in by the
    day it was registered on, and is refused no more.

    Args:
        session: Of the worker. An owner's sources are booked one after the other, at the day's row.
        limits: What a day may hold.
        asset: As it was read before it was measured.
        measured: What it turned out to be.

    Raises:
        LimitReached: ``quota_exceeded``: what is more does not fit the present day. The transaction
            must not be committed.
    """
    if asset.source_info is not None or asset.charged_sec is None:
        return
    more_bytes = measured.size_bytes - (asset.charged_bytes or 0)
    more_sec = round(measured.info.duration_sec - asset.charged_sec, 3)
    day_bytes, day_sec, resets_in_sec = session.execute(
        BOOK, {"owner_id": asset.owner_id, "bytes": more_bytes, "media_sec": more_sec}
    ).one()
    quotas = []
    if more_bytes > 0:
        quotas.append(_bytes_quota(limits, day_bytes, more_bytes))
    if more_sec > DECLARED_SHORT_SEC:
        quotas.append(_length_quota(limits, day_sec, more_sec))
    _refuse_exceeded(quotas, resets_in_sec)


def prune(session: Session) -> None:
    """Forget days that nobody looks back on any more."""
    session.execute(
        text("""
            DELETE FROM owner_usage
            WHERE day < CAST(timezone('UTC', now()) AS date) - CAST(:kept_days AS integer)
        """),
        {"kept_days": KEPT_DAYS},
    )
