"""The metrics for Prometheus: from the database, from the broker, and of the processes."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from threading import Lock

import structlog
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api.monitoring.account_metrics import account_metrics
from api.wiring.publisher import Publisher
from pipeline.config.task_names import QUEUE_RECONCILE, QUEUE_SUBMIT, QUEUE_SWEEP
from pipeline.limits import circuit_breaker
from pipeline.operations import metrics
from pipeline.operations.account_facts import read_accounts
from pipeline.operations.metric_table import ALWAYS, BY_NAME, KEPT
from pipeline.operations.rollout_stage import read_percent
from pipeline.providers.account_terms import AccountTerms
from pipeline.records.cache_purges import owed_purges
from pipeline.records.presence import ages_of_runs, workers_by_queue
from pipeline.runtime.database import session_of
from pipeline.runtime.metric_families import kept_counts, kept_families

QUEUES = (QUEUE_SUBMIT, QUEUE_RECONCILE, QUEUE_SWEEP)
FRESH_SEC = 1.0
"""Scrapes within this time share one reading, so that a caller cannot make the database count all
day."""

disable_created_metrics()  # type: ignore[no-untyped-call]
"""The instants at which the counters of one process began would be as many series again, and are
missing anyway when workers share a folder."""

log = structlog.get_logger()


class PipelineMetrics(Collector):
    """The metrics of database and broker, read at a scrape; an unreadable metric is left out.

    Args:
        accounts: The configured provider accounts.
        storage_works: Tells whether the storage can be written.
    """

    def __init__(
        self,
        engine: Engine | None,
        publisher: Publisher,
        accounts: Sequence[AccountTerms],
        storage_works: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._storage_works = storage_works
        self._publisher = publisher
        self._readings = (*READINGS, partial(_accounts, terms=accounts))
        self._clock = clock
        self._lock = Lock()
        self._read_at = float("-inf")
        self._latest: list[Metric] = []

    def collect(self) -> list[Metric]:
        """Return the metrics, which are at most ``FRESH_SEC`` old."""
        with self._lock:
            if self._clock() - self._read_at >= FRESH_SEC:
                self._latest = [
                    *self._from_database(),
                    *self._from_broker(),
                    _gauge("khronika_storage_up", self._storage_works()),
                ]
                self._read_at = self._clock()
            return self._latest

    def _from_database(self) -> Iterator[Metric]:
        if self._engine is None:
            # Only the operators' login may read them, and this API has none.
            yield _gauge("khronika_figures_missing", len(self._readings))
            return
        missing = 0
        for read in self._readings:
            # One transaction for each: a metric that times out must not fail the others.
            try:
                with session_of(self._engine) as session:
                    metrics.limit_statements(session)
                    found = list(read(session))
            except SQLAlchemyError as error:
                missing += 1
                log.warning("figure_missing", figure=_name_of(read), error=type(error).__name__)
            else:
                yield from found
        yield _gauge("khronika_figures_missing", missing)

    def _from_broker(self) -> Iterator[Metric]:
        depths = self._publisher.depths(QUEUES)
        yield _gauge("khronika_broker_up", depths is not None)
        if depths is not None:
            yield _by("khronika_broker_messages", depths)


def _name_of(read: Callable[..., object]) -> str:
    return str(getattr(read, "func", read).__name__)


def _kept(session: Session) -> Iterator[Metric]:
    yield from kept_families(KEPT, kept_counts(session), ALWAYS)


def _spend(session: Session) -> Iterator[Metric]:
    spent = metrics.spend_by_provider(session)
    assets = {provider: each.assets for provider, each in spent.items()}
    media_sec = {provider: each.media_sec for provider, each in spent.items()}
    yield _by("khronika_provider_spend_assets", assets)
    yield _by("khronika_provider_spend_media_seconds", media_sec)


def _breakers(session: Session) -> Iterator[Metric]:
    found = circuit_breaker.all_breakers(session)
    yield _by(
        "khronika_provider_breaker_open",
        {account: breaker.opened_at is not None for account, breaker in found.items()},
    )


def _accounts(session: Session, *, terms: Sequence[AccountTerms]) -> Iterator[Metric]:
    yield from account_metrics(read_accounts(session, terms))


def _backlogs(session: Session) -> Iterator[Metric]:
    due = metrics.backlogs(session)
    depths = {queue: backlog.depth for queue, backlog in due.items()}
    ages = {queue: backlog.oldest_age_sec for queue, backlog in due.items()}
    yield _by("khronika_queue_depth", depths)
    yield _by("khronika_queue_oldest_age_seconds", ages)


def _inbox(session: Session) -> Iterator[Metric]:
    unsettled = metrics.inbox(session)
    yield _gauge("khronika_inbox_depth", unsettled.depth)
    yield _gauge("khronika_inbox_oldest_age_seconds", unsettled.oldest_age_sec)


def _stuck(session: Session) -> Iterator[Metric]:
    yield _gauge("khronika_stuck_assets", metrics.stuck_assets(session))


def _rollout(session: Session) -> Iterator[Metric]:
    yield _gauge("khronika_rollout_percent", read_percent(session))


def _cache_purges(session: Session) -> Iterator[Metric]:
    owed = owed_purges(session)
    yield _gauge("khronika_cache_purges_owed", owed.total)
    yield _gauge("khronika_cache_purges_oldest_age_seconds", owed.oldest_age_sec)


def _workers(session: Session) -> Iterator[Metric]:
    # A queue that nobody consumes is 0 and not absent.
    there = dict.fromkeys(QUEUES, 0) | dict(workers_by_queue(session))
    yield _by("khronika_workers", there)
    yield _by("khronika_task_run_age_seconds", ages_of_runs(session))


READINGS = (_kept, _spend, _breakers, _backlogs, _inbox, _stuck, _rollout, _cache_purges, _workers)


def _gauge(name: str, value: float) -> Metric:
    return GaugeMetricFamily(name, BY_NAME[name].meaning, value=value)


def _by(name: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, BY_NAME[name].meaning, labels=BY_NAME[name].labels)
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def exposition(collector: PipelineMetrics) -> bytes:
    """Return every metric in Prometheus' text format."""
    of_pipeline = CollectorRegistry()
    of_pipeline.register(collector)
    return generate_latest(_processes()) + generate_latest(of_pipeline)


def _processes() -> CollectorRegistry:
    """Return the metrics of this process, or of all gunicorn workers if they share a folder."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    siblings = CollectorRegistry()
    MultiProcessCollector(siblings)  # type: ignore[no-untyped-call]
    return siblings
