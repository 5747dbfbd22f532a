"""Spend guard: the hourly budget of each provider account, in videos and in media minutes.

The claim reserves in its transaction before it writes, so every claim has a reservation. Claims of
one account wait for each other at the row of the hour, so that a budget of k admits exactly k. The
row is kept whether or not a budget is set, so that a budget set in the middle of an hour counts the
jobs that the hour already has.

``provider_attempts.reserved_sec`` is an attempt's share in the hour of its ``created_at``. It is
written in the same transaction as the hour's row, so that no share is booked twice. The duration of
a source is often unknown before it is measured. A measured duration above the reservation is booked
even if it exceeds the budget. Therefore a budget of minutes can be exceeded, by at most the videos
of unknown duration that are claimed at once.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipeline.domain.hold_reasons import SPEND_GUARD
from pipeline.domain.values import SpendLimits
from pipeline.limits.held_assets import END_HOLD, HELD
from pipeline.records.due import BATCH
from pipeline.records.models import Asset

KEPT_DAYS = 35
"""Days for which the rows of past hours and days are kept, so that a whole month can be read."""

# The first video of an hour always fits: one longer than the budget would otherwise wait for ever.
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

# The lock comes before the comparison, so that two workers that measured the same attempt book the
# difference once.
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

END_HOLDS_WITHIN_BUDGET = text(f"""
    WITH spent AS (
        SELECT coalesce(max(assets), 0) AS assets, coalesce(max(media_sec), 0) AS media_sec
        FROM provider_spend
        WHERE provider = :provider AND hour = date_trunc('hour', now(), 'UTC')
    ), head AS (
        SELECT id, coalesce(duration_sec, charged_sec, 0) AS media_sec {HELD}
        LIMIT (SELECT greatest(0, least(:batch, CAST(:max_assets AS bigint) - assets)) FROM spent)
        FOR UPDATE SKIP LOCKED
    )
    {END_HOLD} FROM head, spent
    WHERE held.id = head.id
      AND (CAST(:max_media_sec AS double precision) IS NULL OR spent.assets = 0
           OR (spent.media_sec < :max_media_sec
               AND spent.media_sec + head.media_sec <= :max_media_sec))
    RETURNING held.id
""")  # noqa: S608 - constants of ours


def media_sec_of(asset: Asset) -> float:
    """Return the duration of a source as known before the measurement; 0 if it is unknown."""
    return asset.duration_sec or asset.charged_sec or 0.0


def reserve(session: Session, provider: str, media_sec: float, limits: SpendLimits) -> bool:
    """Charge the account's present hour with one more asset, if its budget has room.

    It waits for other claims of the same account. The row stays locked until the transaction ends.

    Returns:
        False if nothing was charged.
    """
    reserved = session.scalar(
        RESERVE, {"provider": provider, "media_sec": media_sec, **_columns(limits)}
    )
    return reserved is not None


def book_measured(session: Session, attempt_id: UUID, media_sec: float) -> None:
    """Replace the reserved duration by the measured one, in the hour of the reservation.

    Safe to run twice: the second run finds no difference.
    """
    session.execute(BOOK, {"attempt_id": attempt_id, "media_sec": media_sec})


def give_back(session: Session, attempt_id: UUID) -> None:
    """Undo the charge of an attempt whose provider was not asked or refused the job.

    Safe to run twice: the second run finds no reservation.
    """
    session.execute(BOOK, {"attempt_id": attempt_id, "media_sec": None})


def release_held(session: Session, provider: str, limits: SpendLimits) -> list[UUID]:
    """Make due the assets that wait for their account's next hour, as far as the budget has room.

    The budget has room again when the limit was raised, a charge was undone or a new hour began.
    The longest held come first, in bounded batches.
    """
    held = {"hold_reason": SPEND_GUARD, "provider": provider, "batch": BATCH}
    return list(session.scalars(END_HOLDS_WITHIN_BUDGET, {**held, **_columns(limits)}))


def sec_to_next_hour(now: datetime) -> float:
    """Return the seconds until the next full hour, in UTC."""
    begun = now.replace(minute=0, second=0, microsecond=0)
    return (begun + timedelta(hours=1) - now).total_seconds()


def prune(session: Session) -> None:
    """Delete the rows of hours older than ``KEPT_DAYS``: one an hour and account."""
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
