"""The alerts of deploy/ ask for metrics that there are, also where many processes export them."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config.task_names import QUEUES
from pipeline.domain.failures import FAILURES
from pipeline.operations.metric_table import KEPT, PROCESS, READ
from pipeline.runtime.metric_families import Kind, Metric
from transcoder import job_metrics

CHECKOUT = Path(__file__).parents[3]
RULES = CHECKOUT / "deploy/alerts.rules.yml"
RUNBOOK = (CHECKOUT / "docs/operations.md").read_text()

OF_ALL = (*KEPT, *READ, *job_metrics.KEPT, *job_metrics.READ)
"""Metrics that each process exports with the same value, or each machine with its own."""
CHARGED_TO_US = frozenset({"provider", "host", "storage", "us"})
LOST_WORKERS = {"worker_crashed", "quarantined"}
"""Charged to the source, because its file stops workers; an operator looks at them all the same."""


def rules() -> Iterator[Mapping[str, Any]]:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        yield from group["rules"]


ALERTS = {rule["alert"]: rule for rule in rules()}


def series_of(metric: Metric) -> set[str]:
    match metric.kind:
        case Kind.COUNTER:
            return {f"{metric.name}_total"}
        case Kind.HISTOGRAM:
            return {metric.name + part for part in ("_bucket", "_sum", "_count")}
        case _:
            return {metric.name}


KNOWN = {name: metric for metric in (*OF_ALL, *PROCESS) for name in series_of(metric)}


def selectors(expression: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """The series of an expression: its name, the labels that it selects by, and its range."""
    for name, labels, span in re.findall(r"(khronika_\w+)(?:\{([^}]*)\})?(\[\w+\])?", expression):
        yield name, dict(re.findall(r'(\w+)[=!]~?"([^"]*)"', labels)), span


def test_the_example_scrapes_both_services_with_a_token_and_loads_the_alerts() -> None:
    example = yaml.safe_load((CHECKOUT / "deploy/prometheus.yml").read_text())
    assert example["rule_files"] == [RULES.name]
    jobs = {job["job_name"]: job for job in example["scrape_configs"]}
    assert jobs.keys() == {"khronika", "khronika-transcoder"}
    assert all(job["authorization"]["credentials_file"] for job in jobs.values())


def test_no_alert_has_the_name_of_another() -> None:
    assert len(ALERTS) == len(list(rules())) > 20


@pytest.mark.parametrize("alert", ALERTS)
def test_it_asks_for_metrics_and_labels_that_there_are(alert: str) -> None:
    found = list(selectors(ALERTS[alert]["expr"]))
    assert found
    for name, labels, _ in found:
        assert name in KNOWN
        assert labels.keys() <= set(KNOWN[name].labels)


@pytest.mark.parametrize("alert", ALERTS)
def test_a_counter_is_asked_for_its_increase_and_a_gauge_for_its_value(alert: str) -> None:
    for name, _, span in selectors(ALERTS[alert]["expr"]):
        allowed = {"delta"} if KNOWN[name].kind is Kind.GAUGE else {"rate", "increase"}
        asked = re.findall(rf"(rate|increase|delta)\({name}\b", ALERTS[alert]["expr"])
        assert set(asked) <= allowed
        assert bool(asked) or KNOWN[name].kind is Kind.GAUGE
        assert not span or asked


@pytest.mark.parametrize("alert", ALERTS)
def test_more_processes_do_not_multiply_the_values(alert: str) -> None:
    """What each process exports alike is joined with max or min before anything sums it."""
    expression = ALERTS[alert]["expr"]
    alike = {name for metric in OF_ALL for name in series_of(metric)}
    for name, _, _ in selectors(expression):
        if name in alike:
            before = expression[: expression.index(name)]
            joined = re.search(
                r"(\w+)(?: by \([\w, ]+\))? ?\((?:(?:increase|delta|rate)\()?$", before
            )
            assert joined
            assert joined[1] in {"max", "min", "absent"}


@pytest.mark.parametrize("alert", ALERTS)
def test_it_has_an_entry_in_the_runbook_and_says_how_urgent_it_is(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{alert.lower()}"
    [entry] = re.findall(rf"^### {alert}\n\n(.+?)\n\n", RUNBOOK, re.MULTILINE | re.DOTALL)
    assert len(entry) > 80


def test_no_entry_is_for_an_alert_that_is_not_there() -> None:
    assert set(re.findall(r"^### (Khronika\w+)$", RUNBOOK, re.MULTILINE)) == ALERTS.keys()


def test_failing_videos_are_those_whose_source_is_not_the_cause() -> None:
    [codes] = {
        labels["code"]
        for _, labels, _ in selectors(ALERTS["KhronikaVideosFail"]["expr"])
        if "code" in labels
    }
    meant = {code for code, failure in FAILURES.items() if failure.fault in CHARGED_TO_US}
    assert {code for code in FAILURES if re.fullmatch(codes, code)} == meant | LOST_WORKERS


def test_the_queues_of_the_alerts_are_those_that_there_are() -> None:

    [queues] = [labels["queue"] for _, labels, _ in selectors(ALERTS["KhronikaNoWorkers"]["expr"])]
    assert {queue for queue in QUEUES if re.fullmatch(queues, queue)} == set(QUEUES)
