"""The Grafana dashboard of deploy/: ``python -m stack.dashboard > deploy/grafana.json``.

Each panel is a title, a unit, and questions to Prometheus. A row is a question that an operator
has, from the outcome for owners down to the machines. Every process exports the database's metrics
with the same values, so they are joined with max before they are summed (docs/metrics.md).
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

WIDTH, HEIGHT = 8, 8
"""Size of a panel in Grafana's grid, which has 24 columns."""
ACROSS = 24 // WIDTH

SOURCE = {"type": "prometheus", "uid": "${datasource}"}


class Panel(NamedTuple):
    """One panel.

    Attributes:
        unit: Grafana's name of the unit.
        asked: Legend → expression.
    """

    title: str
    unit: str
    asked: Mapping[str, str]


def _rate(counter: str, by: str) -> str:
    return f"sum by ({by}) (max without (instance) (rate({counter}[5m])))"


def _quantiles(histogram: str, *by: str) -> Mapping[str, str]:
    groups = ", ".join(("le", *by))
    legend = " ".join(f"{{{{{label}}}}}" for label in by)
    return {
        f"p{share:g} {legend}".strip(): (
            f"histogram_quantile({share / 100:g}, sum by ({groups}) "
            f"(max without (instance) (rate({histogram}_bucket[5m]))))"
        )
        for share in (50, 95, 99)
    }


ROWS: Mapping[str, Sequence[Panel]] = {
    "Do owners get their videos?": (
        Panel("Videos by state", "short", {"{{status}}": "max by (status) (khronika_assets)"}),
        Panel(
            "Endings",
            "ops",
            {"{{status}} {{code}}": _rate("khronika_assets_ended_total", "status, code")},
        ),
        Panel(
            "Share that failed",
            "percentunit",
            {
                "failed": (
                    "sum(max without (instance) "
                    '(rate(khronika_assets_ended_total{status="failed"}[30m]))) / '
                    "sum(max without (instance) (rate(khronika_assets_ended_total[30m])))"
                )
            },
        ),
        Panel("Time to ready", "s", _quantiles("khronika_time_to_ready_seconds")),
        Panel("Time to playable", "s", _quantiles("khronika_time_to_playable_seconds")),
        Panel("Share of the owners that are in", "percent", {"": "max(khronika_rollout_percent)"}),
    ),
    "Does work move?": (
        Panel("Due work", "short", {"{{queue}}": "max by (queue) (khronika_queue_depth)"}),
        Panel(
            "Age of the oldest",
            "s",
            {"{{queue}}": "max by (queue) (khronika_queue_oldest_age_seconds)"},
        ),
        Panel("Workers", "short", {"{{queue}}": "max by (queue) (khronika_workers)"}),
        Panel(
            "Waiting, by reason", "short", {"{{reason}}": "max by (reason) (khronika_held_assets)"}
        ),
        Panel("Stuck videos", "short", {"stuck": "max(khronika_stuck_assets)"}),
        Panel(
            "Age of periodic tasks",
            "s",
            {"{{task}}": "max by (task) (khronika_task_run_age_seconds)"},
        ),
    ),
    "Do the providers do their part?": (
        Panel(
            "Outcomes of attempts",
            "ops",
            {
                "{{provider}} {{outcome}} {{code}}": _rate(
                    "khronika_attempts_total", "provider, outcome, code"
                )
            },
        ),
        Panel(
            "Calls that were not ok",
            "ops",
            {
                "{{provider}} {{call}} {{result}}": _rate(
                    'khronika_provider_calls_total{result!="ok"}', "provider, call, result"
                )
            },
        ),
        Panel("Duration of calls", "s", _quantiles("khronika_provider_call_seconds", "provider")),
        Panel(
            "Callbacks",
            "ops",
            {"{{provider}} {{result}}": _rate("khronika_callbacks_total", "provider, result")},
        ),
        Panel(
            "Missed callbacks",
            "ops",
            {"{{provider}}": _rate('khronika_events_total{type="callback_missed"}', "provider")},
        ),
        Panel(
            "Breakers, problems and pauses",
            "short",
            {
                "{{provider}} breaker": "max by (provider) (khronika_provider_breaker_open)",
                "{{provider}} problem": "max by (provider) (khronika_provider_problem)",
                "{{provider}} paused": "max by (provider) (khronika_provider_paused)",
            },
        ),
        Panel(
            "Estimated cost this hour",
            "short",
            {"{{provider}}": "max by (provider) (khronika_provider_cost_hour)"},
        ),
        Panel(
            "Jobs at the account",
            "short",
            {"{{provider}}": "max by (provider) (khronika_provider_jobs)"},
        ),
        Panel(
            "Releases owed",
            "short",
            {"{{provider}}": "max by (provider) (khronika_provider_releases_owed)"},
        ),
    ),
    "Does the transcoder keep up?": (
        Panel(
            "Jobs that ended",
            "ops",
            {"{{status}} {{code}}": _rate("khronika_transcode_jobs_total", "status, code")},
        ),
        Panel("Wait for a worker", "s", _quantiles("khronika_transcode_wait_seconds")),
        Panel(
            "Seconds of video in a second of encoding",
            "short",
            {
                "speed": (
                    "sum(max without (instance) "
                    "(rate(khronika_transcode_media_seconds_sum[15m]))) / "
                    "sum(max without (instance) (rate("
                    'khronika_transcode_step_seconds_sum{step="encoding"}[15m])))'
                )
            },
        ),
        Panel(
            "Free scratch",
            "bytes",
            {"{{instance}}": "min by (instance) (khronika_scratch_free_bytes)"},
        ),
        Panel("Lapsed jobs", "short", {"lapsed": "max(khronika_transcode_lapsed)"}),
        Panel("Callbacks owed", "short", {"owed": "max(khronika_transcode_callbacks_owed)"}),
    ),
    "Does the API answer?": (
        Panel(
            "Requests",
            "reqps",
            {
                "{{route}} {{code}}": (
                    "sum by (route, code) (rate(khronika_http_request_duration_seconds_count[5m]))"
                )
            },
        ),
        Panel(
            "p95 by route",
            "s",
            {
                "{{route}}": (
                    "histogram_quantile(0.95, sum by (le, route) "
                    "(rate(khronika_http_request_duration_seconds_bucket[5m])))"
                )
            },
        ),
        Panel(
            "Broker, storage",
            "short",
            {"broker": "min(khronika_broker_up)", "storage": "min(khronika_storage_up)"},
        ),
    ),
}


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    return {
        "uid": "khronika-video",
        "title": "Khronika Video",
        "tags": ["khronika"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]
        },
        "panels": [{"id": number, **each} for number, each in enumerate(_panels(), start=1)],
    }


def _panels() -> Iterator[dict[str, Any]]:
    top = 0
    for title, panels in ROWS.items():
        yield {
            "type": "row",
            "title": title,
            "gridPos": {"x": 0, "y": top, "w": 24, "h": 1},
            "panels": [],
        }
        top += 1
        for number, panel in enumerate(panels):
            line, column = divmod(number, ACROSS)
            yield _drawn(panel, x=column * WIDTH, y=top + line * HEIGHT)
        top += -(-len(panels) // ACROSS) * HEIGHT


def _drawn(panel: Panel, *, x: int, y: int) -> dict[str, Any]:
    return {
        "type": "timeseries",
        "title": panel.title,
        "gridPos": {"x": x, "y": y, "w": WIDTH, "h": HEIGHT},
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "expr": expression, "legendFormat": legend}
            for number, (legend, expression) in enumerate(panel.asked.items())
        ],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(dashboard(), indent=2) + "\n")
