"""Figures for Prometheus and the console: kept counters, backlogs, spend.

Each figure is one query on Postgres, so that every process answers a scrape alike, also after a
restart. Counters and states are kept in ``metric_counts``, whose size depends on the number of
series only (ADR 29). An index, named at the function, serves each other query, which counts at most
``MOST_COUNTED`` rows. ``BOUND_SEC`` limits all of them.
"""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipeline.config.task_names import QUEUE_RECONCILE, QUEUE_SUBMIT

BOUND_SEC = 2
"""Longest time of one figure; Prometheus gives a whole scrape 10 s by default."""

MOST_COUNTED = 100_000
"""Rows of one backlog that are counted: more need no exact figure, and would cost time."""

STUCK_AFTER_SEC = 300
"""Time after a deadline or a lease by which the sweep has acted, with its retries."""


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
    """Return the number of assets in each state. Index: ``metric_counts_pkey``."""
    return _by_first_label(session, "khronika_assets")


def jobs_by_account(session: Session) -> Mapping[str, int]:
    """Return the number of assets that each account processes. Index: ``metric_counts_pkey``."""
    return _by_first_label(session, "khronika_provider_jobs")


def _by_first_label(session: Session, name: str) -> Mapping[str, int]:
    rows = session.execute(
        text("""
            SELECT labels[1] AS label, CAST(sum(total) AS bigint) AS total
            FROM metric_counts WHERE name = :name GROUP BY labels
        """),
        {"name": name},
    )
    return {row.label: row.total for row in rows}


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


def backlogs(session: Session) -> Mapping[str, Backlog]:
    """Measure the due work of each queue, also work that the broker has lost.

    Indexes: ``video_assets_due``, ``video_assets_poll``, ``webhook_deliveries_unread``.
    """
    rows = session.execute(
        text("""
            SELECT queue, count(*) AS depth,
                   CAST(extract(epoch FROM now() - min(due_at)) AS double precision) AS age
            FROM (
                (SELECT :submit AS queue, next_attempt_at AS due_at FROM video_assets
                WHERE status IN ('queued', 'retrying') AND deleted_at IS NULL
                  AND next_attempt_at <= now()
                ORDER BY next_attempt_at LIMIT :most)
                UNION ALL
                (SELECT :reconcile, next_poll_at FROM video_assets
                WHERE status = 'processing' AND deleted_at IS NULL AND next_poll_at <= now()
                ORDER BY next_poll_at LIMIT :most)
                UNION ALL
                (SELECT :reconcile, next_try_at FROM webhook_deliveries
                WHERE status = 'new' AND next_try_at <= now()
                ORDER BY next_try_at LIMIT :most)
            ) AS due
            GROUP BY queue
        """),
        {"submit": QUEUE_SUBMIT, "reconcile": QUEUE_RECONCILE, "most": MOST_COUNTED},
    )
    due = {row.queue: Backlog(row.depth, max(row.age, 0.0)) for row in rows}
    return {queue: due.get(queue, Backlog(0, 0.0)) for queue in (QUEUE_SUBMIT, QUEUE_RECONCILE)}


def inbox(session: Session) -> Backlog:
    """Measure the callbacks that are not settled, those in work included.

    Index: ``webhook_deliveries_unread``, or ``webhook_deliveries_received`` while many wait.
    """
    row = session.execute(
        text("""
            SELECT count(*) AS depth,
                   CAST(extract(epoch FROM now() - min(received_at)) AS double precision) AS age
            FROM (
                SELECT received_at FROM webhook_deliveries WHERE status = 'new'
                ORDER BY received_at LIMIT :most
            ) AS unsettled
        """),
        {"most": MOST_COUNTED},
    ).one()
    return Backlog(row.depth, max(row.age or 0.0, 0.0))


def stuck_assets(session: Session) -> int:
    """Count the live assets whose deadline or lease passed ``STUCK_AFTER_SEC`` ago.

    Indexes: ``video_assets_deadline``, ``video_assets_lease``.
    """
    stuck = text("""
        SELECT count(*) FROM (
            (SELECT id FROM video_assets
            WHERE status IN ('queued', 'retrying', 'processing') AND deleted_at IS NULL
              AND deadline_at < now() - make_interval(secs => :after_sec)
            ORDER BY deadline_at LIMIT :most)
            UNION
            (SELECT id FROM video_assets
            WHERE status = 'processing' AND deleted_at IS NULL
              AND lease_expires_at < now() - make_interval(secs => :after_sec)
            ORDER BY lease_expires_at LIMIT :most)
        ) AS stuck
    """)
    bounds = {"after_sec": STUCK_AFTER_SEC, "most": MOST_COUNTED}
    return int(session.scalars(stuck, bounds).one())
