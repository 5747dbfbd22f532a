"""The metrics of the transcoder: its queue, its jobs, its callbacks and its scratch space."""

import shutil
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from pipeline.runtime.database import session_of
from pipeline.runtime.metric_families import Kind, Metric, kept_counts, kept_families
from transcoder.models import SCHEMA, Job, JobStatus, OwedCallback
from transcoder.scratch import claim_folders
from transcoder.services import TranscoderServices
from transcoder.task_names import ENCODE_QUEUE

BUCKETS_SEC = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 10800, 21600)

MOST_COUNTED = 100_000
"""Rows of one backlog that are counted: more need no exact figure, and would cost time."""

KEPT = (
    Metric(
        "khronika_transcode_jobs",
        Kind.COUNTER,
        ("status", "code"),
        "Jobs that ended, with the code of a failure.",
    ),
    Metric("khronika_transcode_takeovers", Kind.COUNTER, (), "Leases of lost workers taken over."),
    Metric(
        "khronika_transcode_callbacks",
        Kind.COUNTER,
        ("result",),
        "Terminal callbacks that were delivered, or abandoned.",
    ),
    Metric(
        "khronika_transcode_wait_seconds",
        Kind.HISTOGRAM,
        (),
        "Time from the put of a job to its first claim.",
        BUCKETS_SEC,
    ),
    Metric(
        "khronika_transcode_step_seconds",
        Kind.HISTOGRAM,
        ("step",),
        "Duration of each step that came to its end.",
        BUCKETS_SEC,
    ),
    Metric(
        "khronika_transcode_work_seconds",
        Kind.HISTOGRAM,
        ("status",),
        "Time from the first claim of a job to its end.",
        BUCKETS_SEC,
    ),
    Metric(
        "khronika_transcode_media_seconds",
        Kind.HISTOGRAM,
        (),
        "Length of the encoded videos. The rate of its sum by that of the step encoding is the"
        " speed of ffmpeg.",
        BUCKETS_SEC,
    ),
)
"""Metrics of the table ``metric_counts``; migration 0005 writes the same names and buckets."""

READ = (
    Metric(
        "khronika_queue_depth",
        Kind.GAUGE,
        ("queue",),
        "Jobs that wait for a worker; at most 100000 are counted.",
    ),
    Metric(
        "khronika_queue_oldest_age_seconds",
        Kind.GAUGE,
        ("queue",),
        "Time since the oldest waiting job was put.",
    ),
    Metric("khronika_transcode_running", Kind.GAUGE, (), "Jobs that are being encoded."),
    Metric("khronika_transcode_lapsed", Kind.GAUGE, (), "Running jobs whose lease has lapsed."),
    Metric("khronika_transcode_callbacks_owed", Kind.GAUGE, (), "Callbacks still to be delivered."),
    Metric(
        "khronika_transcode_callbacks_oldest_age_seconds",
        Kind.GAUGE,
        (),
        "Time since the oldest of them was owed.",
    ),
    Metric("khronika_scratch_free_bytes", Kind.GAUGE, (), "Free space of the scratch disk."),
    Metric("khronika_scratch_used_bytes", Kind.GAUGE, (), "Space that claims of jobs use of it."),
)

_MEANINGS = {metric.name: metric for metric in READ}


class TranscoderMetrics(Collector):
    """The metrics, read when they are asked for."""

    def __init__(self, services: TranscoderServices) -> None:
        self._services = services

    def collect(self) -> Iterator[Family]:
        """Return every metric.

        Raises:
            SQLAlchemyError: The database does not answer; a scrape then fails as a whole.
        """
        with session_of(self._services.engine) as session:
            yield from kept_families(KEPT, kept_counts(session, SCHEMA), {})
            yield from _from_rows(session)
        scratch = self._services.settings.scratch
        yield _gauge("khronika_scratch_free_bytes", shutil.disk_usage(scratch).free)
        used = sum(claim.used_bytes for claim in claim_folders(scratch))
        yield _gauge("khronika_scratch_used_bytes", used)


def exposition(services: TranscoderServices) -> bytes:
    """Return every metric in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(TranscoderMetrics(services))
    return generate_latest(registry)


def _from_rows(session: Session) -> Iterator[Family]:
    waiting = select(Job.created_at).where(Job.status == JobStatus.QUEUED).order_by(Job.created_at)
    depth, age_sec = _backlog(session, waiting)
    yield _gauge("khronika_queue_depth", depth, ENCODE_QUEUE)
    yield _gauge("khronika_queue_oldest_age_seconds", age_sec, ENCODE_QUEUE)
    running = select(Job.lease_expires_at).where(Job.status == JobStatus.RUNNING)
    total, _ = _backlog(session, running)
    lapsed, _ = _backlog(session, running.where(Job.lease_expires_at < func.now()))
    yield _gauge("khronika_transcode_running", total)
    yield _gauge("khronika_transcode_lapsed", lapsed)
    owed, owed_sec = _backlog(
        session,
        select(OwedCallback.created_at).where(
            OwedCallback.delivered_at.is_(None), OwedCallback.abandoned_at.is_(None)
        ),
    )
    yield _gauge("khronika_transcode_callbacks_owed", owed)
    yield _gauge("khronika_transcode_callbacks_oldest_age_seconds", owed_sec)


def _backlog(session: Session, instants: Select[Any]) -> tuple[int, float]:
    """Return the number of rows, and the seconds since the oldest instant."""
    rows = instants.limit(MOST_COUNTED).subquery()
    age = func.extract("epoch", func.now() - func.min(rows.c[0]))
    total, age_sec = session.execute(select(func.count(), age).select_from(rows)).one()
    return total, max(float(age_sec or 0), 0.0)


def _gauge(name: str, value: float, *labels: str) -> Family:
    metric = _MEANINGS[name]
    family = GaugeMetricFamily(name, metric.meaning, labels=metric.labels)
    family.add_metric(labels, value)
    return family
