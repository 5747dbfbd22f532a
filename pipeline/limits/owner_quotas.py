"""Quotas of one owner: videos in flight, and videos, bytes and seconds registered in a day.

Create counts its own video and is undone if that exceeds a limit. Creates of one owner wait for
each other at the owner's lock and at the row of the day, so that two at the limit cannot both pass.

A charge is never undone. The quota of a day bounds the cost of the day, and a deleted or failed
video has had its cost. A retry and a re-encode charge no day: they are rare, have limits of their
own, and often follow a failure of ours. They count as in flight.
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
from pipeline.media.source_info import Measured, SourceInfo
from pipeline.records.due import delete_batch
from pipeline.records.models import Asset
from pipeline.runtime.database import lock_timed_out

IN_FLIGHT_RETRY_SEC = 30
"""``Retry-After`` of an owner with too many videos in flight: about the time of a short clip."""
BUSY_RETRY_SEC = 1
"""``Retry-After`` of a busy owner: requests wait for each other, and each takes milliseconds."""

DECLARED_SHORT_SEC = 0.5
"""Clients round their declarations: a video may be this much longer and is not refused for it."""

# The charge goes to the day of the measurement: a video that its own day has no room for may fit
# another day.
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
    """Sums of an owner's videos, including the one that is being registered.

    Attributes:
        live_assets: Videos that are queued, retrying or processing, and not deleted.
        day_assets: Videos registered since midnight, UTC. ``day_bytes`` and ``day_media_sec`` are
            their sums.
        resets_in_sec: Seconds until the next midnight, UTC.
    """

    live_assets: int
    day_assets: int
    day_bytes: int
    day_media_sec: float
    resets_in_sec: int


def refuse_excess(limits: OwnerLimitSettings, charged: Asset, load: OwnerLoad) -> None:
    """Refuse a video that exceeds a limit. The caller must roll its transaction back.

    Raises:
        LimitReached: ``too_many_in_flight``, ``quota_exceeded``.
    """
    _refuse_crowd(limits, load.live_assets)
    _refuse_exceeded(_quotas(limits, charged, load), load.resets_in_sec)


def refuse_one_more_live(
    session: Session, limits: OwnerLimitSettings, started: Asset, *, actor: str
) -> None:
    """Refuse an owner's restart of a video over the limit in flight; operators have no limit.

    The caller has restarted the video already, so that it is counted, and must roll back.

    Args:
        actor: The actor of the event. The database ensures that an owner's is ``owner:…``.

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
                f"{quota.sentence} The limit starts again at midnight, UTC.",
                retry_after_sec=resets_in_sec,
                **quota.numbers,
            )


def _refuse_crowd(limits: OwnerLimitSettings, live_assets: int) -> None:
    if live_assets > limits.max_live:
        raise LimitReached(
            "too_many_in_flight",
            f"An owner may have at most {limits.max_live} videos in progress at once. "
            "Try again when one of them is done.",
            retry_after_sec=IN_FLIGHT_RETRY_SEC,
            limit=limits.max_live,
            used=live_assets - 1,
        )


@contextmanager
def owner_is_busy() -> Iterator[None]:
    """Translate the timeout of a lock that the requests of one owner share.

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
            "Too many requests of this owner are in progress.",
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
        """True also if nothing is left and the request is of unknown size."""
        if self.limit is None:
            return False
        return self.used >= self.limit or self.used + self.asked > self.limit

    @property
    def sentence(self) -> str:
        return (
            f"An owner may register {self.limit:.0f} {self.unit} a day. "
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
    """Charge the owner's day with the difference between the measured and the declared source.

    The caller writes ``source_info`` in the same transaction, under the asset's guard. A later
    measurement is charged with its difference from the one before, which is none unless the owner
    has replaced the source. A correct declaration was admitted on the day of its registration and
    is not refused now.

    Args:
        session: The worker's. Sources of one owner are booked one by one, at the day's row.
        limits: The limits of a day.
        asset: The row as it was before the measurement.
        measured: The measurement.

    Raises:
        LimitReached: ``quota_exceeded``: the difference does not fit the present day. The
            transaction must not be committed.
    """
    if asset.charged_sec is None:
        return
    booked_bytes, booked_sec = asset.charged_bytes or 0, asset.charged_sec
    if asset.source_info is not None:
        booked_bytes = asset.source_size_bytes or 0
        booked_sec = SourceInfo.from_json(asset.source_info).duration_sec
    more_bytes = measured.size_bytes - booked_bytes
    more_sec = round(measured.info.duration_sec - booked_sec, 3)
    if asset.source_info is not None and not more_bytes and not more_sec:
        return
    day_bytes, day_sec, resets_in_sec = session.execute(
        BOOK, {"owner_id": asset.owner_id, "bytes": more_bytes, "media_sec": more_sec}
    ).one()
    quotas = []
    if more_bytes > 0:
        quotas.append(_bytes_quota(limits, day_bytes, more_bytes))
    if more_sec > DECLARED_SHORT_SEC:
        quotas.append(_length_quota(limits, day_sec, more_sec))
    _refuse_exceeded(quotas, resets_in_sec)


def prune(session: Session) -> int:
    """Delete a batch of days older than ``KEPT_DAYS``; return their number."""
    old = "day < CAST(timezone('UTC', now()) AS date) - CAST(:kept_days AS integer)"
    return delete_batch(session, "owner_usage", old, kept_days=KEPT_DAYS)
