"""The figures an operator asks for first: failure rate, time to ready, backlog.

Each is one query on Postgres, the only truth: whichever process answers a scrape, and however
often processes restart, the figures agree. Each is served by an index named beside it and ends
with ``BOUND_SEC``, so that a scrape never becomes the load it is meant to show.
"""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipeline.config.task_names import QUEUE_RECONCILE, QUEUE_SUBMIT

BOUND_SEC = 2
"""How long one figure may take; Prometheus itself gives a scrape 10 s by default."""

READY_BUCKETS_SEC = (5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 21600.0)
"""From a clip that is ready at once to a film that waited for its turn."""


class Distribution(NamedTuple):
    """How long something took.

    Attributes:
        counts: For each bucket how many fell into it alone; one more for what is above the last.
        sum_sec: Of all of them together.
    """

    counts: tuple[int, ...]
    sum_sec: float


class Backlog(NamedTuple):
    """Work that is due and not yet done."""

    depth: int
    oldest_age_sec: float


class Spend(NamedTuple):
    """What a provider account was given."""

    assets: int
    media_sec: float


def limit_statements(session: Session) -> None:
    """End every further statement of this transaction after ``BOUND_SEC``."""
    session.execute(
        text("SELECT set_config('statement_timeout', :bound, true)"), {"bound": f"{BOUND_SEC}s"}
    )


def assets_by_status(session: Session) -> Mapping[str, int]:
    """How many assets are in each state. Index only: ``video_assets_status_updated``.

    Deleted ones are counted too: leaving them out would visit every row.
    """
    rows = session.execute(
        text("SELECT status, count(*) AS total FROM video_assets GROUP BY status")
    )
    return {row.status: row.total for row in rows}


def failures_by_code(session: Session) -> Mapping[str, int]:
    """How many assets are failed now, by why. Index only: ``video_assets_failed``."""
    rows = session.execute(
        text("""
            SELECT error_code, count(*) AS total FROM video_assets
            WHERE status = 'failed' AND deleted_at IS NULL GROUP BY error_code
        """)
    )
    return {row.error_code: row.total for row in rows}


def held_by_reason(session: Session) -> Mapping[str, int]:
    """How many assets wait without spending their budget, by why.

    Index only: ``video_assets_held``.
    """
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
    """What each provider account was given in this clock hour.

    The table has a row an account and hour, and of a month at the most: reading all of it is less
    than an index would cost every claim.
    """
    rows = session.execute(
        text("""
            SELECT provider, assets, media_sec FROM provider_spend
            WHERE hour = date_trunc('hour', now(), 'UTC')
        """)
    )
    return {row.provider: Spend(row.assets, row.media_sec) for row in rows}


def time_to_ready(session: Session) -> Distribution:
    """From create to completed, of what completed in the last day.

    Queueing, retries and waits included: it is what the owner experienced. The day bounds what a
    scrape reads, however many videos there are. Index only: ``video_assets_completed``.
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
    """Callbacks of the last day that a poll had to replace.

    Index: ``video_processing_events_missed``, of the partitions of that day.
    """
    missed = text("""
        SELECT count(*) FROM video_processing_events
        WHERE type = 'callback_missed' AND created_at > now() - interval '1 day'
    """)
    return int(session.scalars(missed).one())


def backlogs(session: Session) -> Mapping[str, Backlog]:
    """What is due on each queue, whether or not the broker knows of it.

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
