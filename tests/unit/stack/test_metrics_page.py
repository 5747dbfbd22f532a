"""docs/metrics.md is the table of metrics, whose names and labels obey Prometheus's rules."""

import re
from pathlib import Path

import pytest

from pipeline.operations.metric_table import KEPT, PROCESS, READ
from pipeline.runtime.metric_families import Kind, Metric
from stack.metrics_page import render

EVERY = (*KEPT, *READ, *PROCESS)
PAGE = Path(__file__).parents[3] / "docs/metrics.md"


def test_the_page_is_the_generated_one() -> None:
    assert render() == PAGE.read_text(), "run: python -m stack.metrics_page > docs/metrics.md"


def test_no_name_occurs_twice() -> None:
    names = [metric.name for metric in EVERY]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)
def test_a_name_obeys_the_rules_and_no_label_is_an_id(metric: Metric) -> None:
    assert re.fullmatch(r"khronika(_[a-z]+)+", metric.name)
    assert not metric.name.endswith(("_total", "_count", "_sum", "_bucket"))
    assert not [label for label in metric.labels if re.search(r"(^|_)(id|owner|asset)", label)]
    assert bool(metric.buckets) is (metric.kind is Kind.HISTOGRAM)
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert metric.meaning.endswith(".")
