"""Figures for Prometheus and the console: failures, time to ready, backlog.

Each figure is one query on Postgres, so that every process answers a scrape alike, also after a
restart. An index, named at the function, serves each query, and ``BOUND_SEC`` limits it, so that a
scrape adds little load.
"""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipeline.config.task_names import QUEUE_RECONCILE, QUEUE_SUBMIT

BOUND_SEC = 2
"""Longest time of one figure; Prometheus gives a whole scrape 10 s by default."""

READY_BUCKETS_SEC = (5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 21600.0)
"""From a clip that is ready at once to a film that waited in the queue."""


class Distribution(NamedTuple):
    """Distribution of durations.

    Attributes:
        counts: The count of each bucket alone, and the count above the last bucket.
        sum_sec: Sum of all durations.
    """

    counts: tuple[int, ...]
    sum_sec: float


class Backlog(NamedTuple):
    """Work that is due."""

    depth: int
    oldest_age_sec: float


class Spend(NamedTuple):
    """Work given to a provider account."""

    assets: int
    media_sec: float


def limit_statements(session: Session) -> None:
    """Limit every further statement of this transaction to ``BOUND_SEC``."""
    session.execute(
        text("SELECT set_config('statement_timeout', :bound, true)"), {"bound": f"{BOUND_SEC}s"}
    )


def assets_by_status(session: Session) -> Mapping[str, int]:
    """Count the assets in each state. Index only: ``video_assets_status_updated``.

    Deleted assets are counted too: the index does not have ``deleted_at``.
    """
    rows = session.execute(
        text("SELECT status, count(*) AS total FROM video_assets GROUP BY status")
    )
    return {row.status: row.total for row in rows}


def failures_by_code(session: Session) -> Mapping[str, int]:
    """Count the failed assets, by error code. Index only: ``video_assets_failed``."""
    rows = session.execute(
        text("""
            SELECT error_code, count(*) AS total FROM video_assets
            WHERE status = 'failed' AND deleted_at IS NULL GROUP BY error_code
        """)
    )
    return {row.error_code: row.total for row in rows}


def held_by_reason(session: Session) -> Mapping[str, int]:
    """Count the held assets, by reason. Index only: ``video_assets_held``."""
    rows = session.execute(
        text("""
            SELECT hold_reason, count(*) AS total FROM video_assets
            WHERE hold_reason IS NOT NULL AND status IN ('queued', 'retrying')
              AND deleted_at IS NULL
            GROUP BY hold_reason
        """)
    )
    return {row.hold_reason: row.total for row in rows}


def spend_by_provider(session: Session) -> Mapping[str, Spend]:
    """Return the work given to each provider account in this clock hour.

    The table has one row for each account and hour of at most a month. Reading all of it costs
    less than the upkeep of an index at every claim.
    """
    rows = session.execute(
        text("""
            SELECT provider, assets, media_sec FROM provider_spend
            WHERE hour = date_trunc('hour', now(), 'UTC')
        """)
    )
    return {row.provider: Spend(row.assets, row.media_sec) for row in rows}


def time_to_ready(session: Session) -> Distribution:
    """Measure the time from create to completed of the videos completed in the last day.

    The owner's whole wait counts, with queueing, retries and holds. The limit of a day keeps a
    scrape cheap. Index only: ``video_assets_completed``.
    """
    rows = session.execute(
        text("""
            SELECT width_bucket(took, CAST(:bounds AS double precision[])) AS bucket,
                   count(*) AS total, sum(took) AS sum_sec
            FROM (
                SELECT CAST(extract(epoch FROM completed_at - created_at) AS double precision)
                       AS took
                FROM video_assets
                WHERE completed_at > now() - interval '1 day' AND deleted_at IS NULL
            ) AS completed
            GROUP BY bucket
        """),
        {"bounds": list(READY_BUCKETS_SEC)},
    ).all()
    counts = [0] * (len(READY_BUCKETS_SEC) + 1)
    for row in rows:
        counts[row.bucket] = row.total
    return Distribution(tuple(counts), sum(row.sum_sec for row in rows))


def callbacks_missed(session: Session) -> int:
    """Count the callbacks of the last day that a poll had to replace.

    Index: ``video_processing_events_missed``.
    """
    missed = text("""
        SELECT count(*) FROM video_processing_events
        WHERE type = 'callback_missed' AND created_at > now() - interval '1 day'
    """)
    return int(session.scalars(missed).one())


def backlogs(session: Session) -> Mapping[str, Backlog]:
    """Measure the due work of each queue, also work that the broker has lost.

    Indexes: ``video_assets_due``, ``video_assets_poll``, ``webhook_deliveries_unread``.
    """
    rows = session.execute(
        text("""
            SELECT queue, count(*) AS depth,
                   CAST(extract(epoch FROM now() - min(due_at)) AS double precision) AS age
            FROM (
                SELECT :submit AS queue, next_attempt_at AS due_at FROM video_assets
                WHERE status IN ('queued', 'retrying') AND deleted_at IS NULL
                  AND next_attempt_at <= now()
                UNION ALL
                SELECT :reconcile, next_poll_at FROM video_assets
                WHERE status = 'processing' AND deleted_at IS NULL AND next_poll_at <= now()
                UNION ALL
                SELECT :reconcile, next_try_at FROM webhook_deliveries
                WHERE status = 'new' AND next_try_at <= now()
            ) AS due
            GROUP BY queue
        """),
        {"submit": QUEUE_SUBMIT, "reconcile": QUEUE_RECONCILE},
    )
    due = {row.queue: Backlog(row.depth, max(row.age, 0.0)) for row in rows}
    return {queue: due.get(queue, Backlog(0, 0.0)) for queue in (QUEUE_SUBMIT, QUEUE_RECONCILE)}
