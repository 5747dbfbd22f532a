"""What a provider account was given within one clock hour, and whether more fits its budget.

A reservation stands in the transaction of the claim, before it: whoever claims has paid, and who
could not pay claims nothing. The row of the hour is what claims of one account wait for each other
at, so that a budget of k lets exactly k through. It is kept whether or not there is a budget, so
that one that is set within an hour knows what that hour has had.

``provider_attempts.reserved_sec`` says what an attempt has in the hour of its ``created_at``. It is
written in the same transaction as the hour's row, so that nothing is booked twice. How long a
source takes is often not known before it is measured; what it then takes beyond the reservation is
booked even where it no longer fits. A budget of minutes is therefore overshot by at most the videos
of unknown length that are claimed at once.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipeline.domain.values import SpendLimits
from pipeline.records.due import BATCH
from pipeline.records.models import Asset

KEPT_DAYS = 35
"""How long the books of past hours and days are kept: a month can be looked back on."""

# The first of an hour always fits: a video longer than the whole budget would wait for ever.
RESERVE = text("""
    INSERT INTO provider_spend AS spent (provider, hour, assets, media_sec)
    VALUES (:provider, date_trunc('hour', now(), 'UTC'), 1, :media_sec)
    ON CONFLICT (provider, hour) DO UPDATE
        SET assets = spent.assets + 1, media_sec = spent.media_sec + excluded.media_sec
        WHERE spent.assets = 0
           OR ((CAST(:max_assets AS bigint) IS NULL OR spent.assets < :max_assets)
               AND (CAST(:max_media_sec AS double precision) IS NULL
                    OR (spent.media_sec < :max_media_sec
                        AND spent.media_sec + excluded.media_sec <= :max_media_sec)))
    RETURNING assets
""")

# Locked before it is compared: two workers that measured the same attempt book the difference once.
BOOK = text("""
    WITH reserved AS (
        SELECT id, provider, date_trunc('hour', created_at, 'UTC') AS hour, reserved_sec
        FROM provider_attempts
        WHERE id = :attempt_id AND reserved_sec IS NOT NULL
        FOR UPDATE
    ), settled AS (
        UPDATE provider_attempts SET reserved_sec = CAST(:media_sec AS double precision)
        FROM reserved WHERE provider_attempts.id = reserved.id
    )
    UPDATE provider_spend AS spent
    SET assets = spent.assets
            - CASE WHEN CAST(:media_sec AS double precision) IS NULL THEN 1 ELSE 0 END,
        media_sec = greatest(
            0, spent.media_sec - reserved.reserved_sec + coalesce(:media_sec, 0))
    FROM reserved
    WHERE spent.provider = reserved.provider AND spent.hour = reserved.hour
""")

# What was held was given the time until the next hour on top of its deadline; what of it is not
# waited out is taken back.
RELEASE = text("""
    WITH spent AS (
        SELECT coalesce(max(assets), 0) AS assets, coalesce(max(media_sec), 0) AS media_sec
        FROM provider_spend
        WHERE provider = :provider AND hour = date_trunc('hour', now(), 'UTC')
    ), head AS (
        SELECT id, coalesce(duration_sec, charged_sec, 0) AS media_sec
        FROM video_assets
        WHERE hold_reason = 'spend_guard' AND provider = :provider AND next_attempt_at > now()
          AND status IN ('queued', 'retrying') AND deleted_at IS NULL
        ORDER BY next_attempt_at
        LIMIT (SELECT greatest(0, least(:batch, CAST(:max_assets AS bigint) - assets)) FROM spent)
        FOR UPDATE SKIP LOCKED
    )
    UPDATE video_assets AS held
    SET deadline_at = deadline_at - (next_attempt_at - now()),
        next_attempt_at = now(), woken_at = NULL
    FROM head, spent
    WHERE held.id = head.id
      AND (CAST(:max_media_sec AS double precision) IS NULL OR spent.assets = 0
           OR (spent.media_sec < :max_media_sec
               AND spent.media_sec + head.media_sec <= :max_media_sec))
    RETURNING held.id
""")


def media_sec_of(asset: Asset) -> float:
    """How long the source takes as far as is known before it is measured: 0 where nobody said."""
    return asset.duration_sec or asset.charged_sec or 0.0


def reserve(session: Session, provider: str, media_sec: float, limits: SpendLimits) -> bool:
    """Charge the account's present hour with one more asset, if its budget has room.

    Waits for whoever is just claiming for the same account; the row stays locked until the
    transaction ends.

    Returns:
        False when nothing was charged.
    """
    reserved = session.scalar(
        RESERVE, {"provider": provider, "media_sec": media_sec, **_columns(limits)}
    )
    return reserved is not None


def book_measured(session: Session, attempt_id: UUID, media_sec: float) -> None:
    """Charge what the source was found to take, in place of what was reserved for it.

    It goes to the hour of the reservation. Safe to run twice: the second finds no difference.
    """
    session.execute(BOOK, {"attempt_id": attempt_id, "media_sec": media_sec})


def give_back(session: Session, attempt_id: UUID) -> None:
    """Undo the charge of an attempt that cost nothing: its provider was not asked, or said no.

    Safe to run twice: the second finds nothing reserved.
    """
    session.execute(BOOK, {"attempt_id": attempt_id, "media_sec": None})


def release_held(session: Session, provider: str, limits: SpendLimits) -> list[UUID]:
    """Make due what waits for its account's next hour although its budget has room again.

    That is so when the limit was raised, when a charge was given back, and when the hour turned.
    No more than the budget has room for, the longest held first, in bounded batches.
    """
    found = session.scalars(RELEASE, {"provider": provider, "batch": BATCH, **_columns(limits)})
    return list(found)


def sec_to_next_hour(now: datetime) -> float:
    """Until the next hour begins; hours are those of the clock, in UTC."""
    begun = now.replace(minute=0, second=0, microsecond=0)
    return (begun + timedelta(hours=1) - now).total_seconds()


def prune(session: Session) -> None:
    """Forget hours that nobody looks back on any more."""
    session.execute(
        text("DELETE FROM provider_spend WHERE hour < now() - make_interval(days => :kept_days)"),
        {"kept_days": KEPT_DAYS},
    )


def _columns(limits: SpendLimits) -> dict[str, float | None]:
    minutes = limits.minutes_per_hour
    return {
        "max_assets": limits.assets_per_hour,
        "max_media_sec": None if minutes is None else minutes * 60,
    }
