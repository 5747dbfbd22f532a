"""Metrics as data: their declarations, and the families that kept counters make.

``metric_counts`` is a table of each schema with counters. Triggers write its rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import accumulate
from typing import NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from sqlalchemy import text
from sqlalchemy.orm import Session


class Kind(StrEnum):
    """Type of a metric, as Prometheus names it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(NamedTuple):
    """One metric.

    Attributes:
        name: The family's name; the samples of a counter end in ``_total``.
        meaning: The help text.
        buckets: The upper bounds of a histogram's buckets, in seconds.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    buckets: tuple[float, ...] = ()


class KeptCount(NamedTuple):
    """A counter, or one bucket of a histogram.

    Attributes:
        le: Upper bound of the bucket; infinite for a counter.
        total: Count of this bucket alone.
        seconds: Sum of the durations in it.
    """

    labels: tuple[str, ...]
    le: float
    total: int
    seconds: float


KeptCounts = Mapping[str, Sequence[KeptCount]]
"""Name of the metric → its rows, whose shards are summed."""

Series = Mapping[tuple[str, ...], Sequence[KeptCount]]


def kept_counts(session: Session, schema: str = "public") -> KeptCounts:
    """Return every kept counter of a schema.

    The table has a few rows for each series. Reading all of it costs less than an index would.
    """
    rows = session.execute(
        text(f"""
            SELECT name, labels, le, CAST(sum(total) AS bigint) AS total, sum(seconds) AS seconds
            FROM {schema}.metric_counts GROUP BY name, labels, le ORDER BY name, labels, le
        """)  # noqa: S608 - the schema is a constant of the callers
    )
    found: dict[str, list[KeptCount]] = {}
    for row in rows:
        count = KeptCount(tuple(row.labels), row.le, row.total, row.seconds)
        found.setdefault(row.name, []).append(count)
    return found


def kept_families(
    metrics: Sequence[Metric],
    counts: KeptCounts,
    always: Mapping[str, Sequence[tuple[str, ...]]],
) -> Iterator[Family]:
    """Return the families of these metrics, also those of which nothing was counted yet.

    Args:
        always: Series that are 0 and not absent while nothing is counted: an alert on an absent
            series never fires. A family without labels is always present, too.
    """
    for metric in metrics:
        series: dict[tuple[str, ...], list[KeptCount]] = {
            labels: [] for labels in always.get(metric.name, () if metric.labels else ((),))
        }
        for count in counts.get(metric.name, ()):
            series.setdefault(count.labels, []).append(count)
        yield _histogram(metric, series) if metric.kind is Kind.HISTOGRAM else _sums(metric, series)


def _sums(metric: Metric, series: Series) -> Family:
    make = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = make(metric.name, metric.meaning, labels=metric.labels)
    for labels, counts in series.items():
        family.add_metric(labels, sum(count.total for count in counts))
    return family


def _histogram(metric: Metric, series: Series) -> Family:
    family = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    bounds = [*map(float, metric.buckets), float("inf")]
    for labels, counts in series.items():
        alone = {count.le: count.total for count in counts}
        running = accumulate(alone.get(bound, 0) for bound in bounds)
        names = [*map(str, bounds[:-1]), "+Inf"]
        family.add_metric(
            labels,
            buckets=list(zip(names, running, strict=True)),
            sum_value=sum(count.seconds for count in counts),
        )
    return family
