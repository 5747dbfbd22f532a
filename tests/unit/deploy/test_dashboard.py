"""The dashboard of deploy/ asks for metrics that there are, and joins the processes."""

import json
import re
from itertools import pairwise

import pytest

from pipeline.runtime.metric_families import Kind
from stack.dashboard import ROWS, dashboard
from tests.unit.deploy.test_alerts import CHECKOUT, KNOWN, OF_ALL, selectors, series_of

EXPRESSIONS = {
    f"{panel.title}: {legend}": expression
    for panels in ROWS.values()
    for panel in panels
    for legend, expression in panel.asked.items()
}
ALIKE = {name for metric in OF_ALL for name in series_of(metric)}


def test_the_committed_file_is_the_generated_one() -> None:
    committed = json.loads((CHECKOUT / "deploy/grafana.json").read_text())
    assert committed == dashboard(), "python -m stack.dashboard > deploy/grafana.json"


@pytest.mark.parametrize("asked", EXPRESSIONS)
def test_it_asks_for_metrics_and_labels_that_there_are(asked: str) -> None:
    expression = EXPRESSIONS[asked]
    found = list(selectors(expression))
    assert found
    for name, labels, span in found:
        assert labels.keys() <= set(KNOWN[name].labels)
        assert bool(span) == (KNOWN[name].kind is not Kind.GAUGE)
    grouped = {
        label
        for labels in re.findall(r"by \(([^)]*)\)", expression)
        for label in labels.split(", ")
    }
    of_metrics = {label for name, *_ in found for label in KNOWN[name].labels}
    assert grouped <= of_metrics | {"le", "instance"}


@pytest.mark.parametrize("asked", EXPRESSIONS)
def test_a_legend_names_labels_that_the_answer_has(asked: str) -> None:
    grouped = set(", ".join(re.findall(r"by \(([^)]*)\)", EXPRESSIONS[asked])).split(", "))
    assert set(re.findall(r"{{(\w+)}}", asked)) <= grouped


@pytest.mark.parametrize("asked", EXPRESSIONS)
def test_more_processes_do_not_multiply_the_values(asked: str) -> None:
    expression = EXPRESSIONS[asked]
    for name, *_ in selectors(expression):
        if name in ALIKE:
            assert re.search(rf"(max|min)[^()]*(\([^()]*\))? ?\((rate\()?{name}", expression), name


def test_no_panel_covers_another_and_all_are_on_the_grid() -> None:
    panels = dashboard()["panels"]
    places = [each["gridPos"] for each in panels]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    covered = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(covered) == len(set(covered))
    assert all(first["id"] < second["id"] for first, second in pairwise(panels))
