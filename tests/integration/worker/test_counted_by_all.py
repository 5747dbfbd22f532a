"""The counters of two machines' processes: they add up, and no kill and no restart lowers them."""

import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from pipeline.config.task_names import QUEUES, wake_submit
from tests.conditions import wait_until
from tests.integration.api.test_serving import gunicorn
from tests.integration.pipeline.conftest import (
    World,
    outputs_folder,
    provider,
    services,
    settings,
    world,
)
from tests.worker_process import send, worker_process

__all__ = ["outputs_folder", "provider", "services", "settings", "world"]

WORKER = ("-A", "worker.app", "worker", "--concurrency", "2", "--queues", ",".join(QUEUES))
DEVELOPMENT = {"KHRONIKA_ENV": "development"}
NEVER_FALLS = ("_total", "_bucket", "_sum", "_count")

Sample = tuple[str, frozenset[tuple[str, str]]]


def scraped(url: str) -> dict[Sample, float]:
    """What an API exports of the pipeline; not of its own process, which begins at 0."""
    text = requests.get(f"{url}/metrics", timeout=60).text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not family.name.startswith(("khronika_http", "khronika_publishes", "python", "process"))
    }


def value(samples: Mapping[Sample, float], name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0)


def accepted(url: str) -> float:
    labels = {"provider": "selfhosted", "outcome": "accepted", "code": ""}
    return value(scraped(url), "khronika_attempts_total", **labels)


def submit_all(world: World, number: int) -> Sequence[UUID]:
    """Create videos and let any worker submit them."""
    made = [world.create() for _ in range(number)]
    for asset_id in made:
        send(world, wake_submit(asset_id))
    return made


def falling(before: Mapping[Sample, float], after: Mapping[Sample, float]) -> list[Sample]:
    return [
        sample
        for sample, was in before.items()
        if sample[0].endswith(NEVER_FALLS) and after.get(sample, -1) < was
    ]


def test_counters_add_up_over_processes_and_never_fall(world: World, tmp_path: Path) -> None:
    logs = [tmp_path / f"{name}.log" for name in ("one", "two")]
    with ExitStack() as running:
        workers = [running.enter_context(worker_process(log, *WORKER)) for log in logs]
        with gunicorn(DEVELOPMENT, tmp_path / "first.log") as first:
            others = running.enter_context(gunicorn(DEVELOPMENT, tmp_path / "second.log"))
            wait_until(_all_there(first, 4), logs[0])
            made = submit_all(world, 6)
            wait_until(lambda: accepted(first) == len(made), logs[0])
            wait_until(lambda: accepted(others) == len(made), logs[1])
            before = scraped(first)

        # A child is killed with no chance to say anything; its parent starts another one.
        children = psutil.Process(workers[0].pid).children()
        children[0].send_signal(signal.SIGKILL)
        made = [*made, *submit_all(world, 4)]
        with gunicorn(DEVELOPMENT, tmp_path / "third.log") as third:
            wait_until(lambda: accepted(third) == len(made), logs[0])
            after = scraped(third)

    assert falling(before, after) == []
    assert value(after, "khronika_assets", status="processing") == len(made)
    assert value(after, "khronika_queue_wait_seconds_count") == len(made)
    calls = {"provider": "selfhosted", "call": "submit", "result": "ok"}
    assert value(after, "khronika_provider_calls_total", **calls) == len(made)


def _all_there(url: str, number: int) -> Callable[[], bool]:
    return lambda: value(scraped(url), "khronika_workers", queue="submit") == number


def test_a_worker_that_ends_is_counted_no_longer(world: World, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with gunicorn(DEVELOPMENT, tmp_path / "api.log") as api:
        with worker_process(log, *WORKER) as worker:
            wait_until(_all_there(api, 2), log)
            worker.send_signal(signal.SIGTERM)
            wait_until(lambda: worker.poll() is not None, log)
        wait_until(_all_there(api, 0), log)


@pytest.fixture(autouse=True)
def development(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHRONIKA_ENV", "development")
