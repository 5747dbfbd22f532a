"""Figures of the last hour and day for the console's overview, beside those of ``metrics``.

Each query reads at most ``ROWS`` rows, the latest, so that its cost is bounded. On a busy day the
figures therefore describe only the latest part of that time.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

ROWS = 10_000


class TimeToReady(NamedTuple):
    """Time of an account's videos from create to completed, in seconds."""

    provider: str
    completed: int
    p50_sec: float
    p95_sec: float
    p99_sec: float


class Endings(NamedTuple):
    """Counts of an account's completed and failed videos."""

    provider: str
    completed: int
    failed: int

    @property
    def failure_rate(self) -> float:
        """Share of the failed videos, 0 to 1."""
        return self.failed / max(self.completed + self.failed, 1)


class AttemptOutcomes(NamedTuple):
    """Attempts at an account with the same outcome, and the time of the last one."""

    provider: str
    outcome: str
    error_code: str | None
    total: int
    last_at: datetime


class HeldVideos(NamedTuple):
    """Videos that wait for an account for the same reason."""

    provider: str
    reason: str
    total: int


def time_to_ready(session: Session) -> Sequence[TimeToReady]:
    """Return the percentiles of the last 24 h, by account.

    Index only: ``video_assets_completed``.
    """
    rows = session.execute(
        text("""
            SELECT provider, count(*),
                   percentile_cont(0.50) WITHIN GROUP (ORDER BY took_sec),
                   percentile_cont(0.95) WITHIN GROUP (ORDER BY took_sec),
                   percentile_cont(0.99) WITHIN GROUP (ORDER BY took_sec)
            FROM (
                SELECT provider, CAST(extract(epoch FROM completed_at - created_at)
                                      AS double precision) AS took_sec
                FROM video_assets
                WHERE completed_at > now() - interval '1 day' AND deleted_at IS NULL
                ORDER BY completed_at DESC LIMIT :rows
            ) AS completed
            GROUP BY provider ORDER BY provider
        """),
        {"rows": ROWS},
    )
    return [TimeToReady(*row) for row in rows]


def endings(session: Session) -> Sequence[Endings]:
    """Count the completed and failed videos of the last 24 h, by account.

    Indexes: ``video_assets_completed``, ``video_assets_status_updated``.
    """
    rows = session.execute(
        text("""
            SELECT provider, count(*) FILTER (WHERE is_done), count(*) FILTER (WHERE NOT is_done)
            FROM (
                (SELECT provider, true AS is_done FROM video_assets
                 WHERE completed_at > now() - interval '1 day' AND deleted_at IS NULL
                 ORDER BY completed_at DESC LIMIT :rows)
                UNION ALL
                (SELECT provider, false FROM video_assets
                 WHERE status = 'failed' AND updated_at > now() - interval '1 day'
                   AND deleted_at IS NULL
                 ORDER BY status DESC, updated_at DESC LIMIT :rows)
            ) AS ended
            GROUP BY provider ORDER BY provider
        """),
        {"rows": ROWS},
    )
    return [Endings(*row) for row in rows]


def attempt_outcomes(session: Session) -> Sequence[AttemptOutcomes]:
    """Count the outcomes of the last hour's attempts, by account.

    ``open`` stands for an attempt without an outcome yet. Index: ``provider_attempts_created``.
    """
    rows = session.execute(
        text("""
            SELECT provider, coalesce(outcome, 'open') AS outcome, error_code, count(*) AS total,
                   max(coalesce(submitted_at, created_at))
            FROM (
                SELECT provider, outcome, error_code, submitted_at, created_at
                FROM provider_attempts WHERE created_at > now() - interval '1 hour'
                ORDER BY created_at DESC LIMIT :rows
            ) AS recent
            GROUP BY provider, coalesce(outcome, 'open'), error_code
            ORDER BY provider, total DESC, outcome, error_code
        """),
        {"rows": ROWS},
    )
    return [AttemptOutcomes(*row) for row in rows]


def held_videos(session: Session) -> Sequence[HeldVideos]:
    """Count the held videos, by account and reason. Index: ``video_assets_held``."""
    rows = session.execute(
        text("""
            SELECT provider, hold_reason, count(*) FROM video_assets
            WHERE hold_reason IS NOT NULL AND status IN ('queued', 'retrying')
              AND deleted_at IS NULL
            GROUP BY provider, hold_reason ORDER BY provider, hold_reason
        """)
    )
    return [HeldVideos(*row) for row in rows]
