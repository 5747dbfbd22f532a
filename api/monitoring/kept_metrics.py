"""The metrics of the kept counters: each family of the table, from its rows."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, groupby

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family

from pipeline.domain.hold_reasons import HOLDS
from pipeline.domain.states import Status
from pipeline.operations.metric_table import KEPT, Kind, Metric
from pipeline.operations.metrics import KeptCount

ALARMING = ("storage_unavailable", "host_unfit")
"""Hold reasons that an operator must look at."""

ALWAYS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "khronika_assets": tuple((status.value,) for status in Status),
    "khronika_held_assets": tuple((reason,) for reason in (*HOLDS, *ALARMING)),
}
"""Series that are 0 and not absent while nothing is counted: an alert on an absent series never
fires. A family without labels is always present, too."""


def kept_metrics(counts: Mapping[str, Sequence[KeptCount]]) -> Iterator[Family]:
    """Return every kept family, also those of which nothing was counted yet."""
    for metric in KEPT:
        rows = {
            labels: list(counted)
            for labels, counted in groupby(counts.get(metric.name, ()), lambda row: row.labels)
        }
        absent = ALWAYS.get(metric.name, () if metric.labels else ((),))
        series: dict[tuple[str, ...], Sequence[KeptCount]] = dict.fromkeys(absent, ())
        series |= rows
        yield _histogram(metric, series) if metric.kind is Kind.HISTOGRAM else _sums(metric, series)


def _sums(metric: Metric, series: Mapping[tuple[str, ...], Sequence[KeptCount]]) -> Family:
    make = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = make(metric.name, metric.meaning, labels=metric.labels)
    for labels, counts in series.items():
        family.add_metric(labels, sum(count.total for count in counts))
    return family


def _histogram(metric: Metric, series: Mapping[tuple[str, ...], Sequence[KeptCount]]) -> Family:
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
