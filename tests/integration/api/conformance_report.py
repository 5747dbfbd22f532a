"""What schemathesis says it has done, read from its report of events (NDJSON)."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def finished_phases(report: Path) -> Mapping[str, str]:
    """How each phase ended, by name."""
    return {event["phase"]["name"]: event["status"] for event in _events(report, "PhaseFinished")}


def followed(report: Path) -> Mapping[str, set[int]]:
    """The operations that were asked by following a link, and the statuses of their answers."""
    answers: dict[str, set[int]] = defaultdict(set)
    for event in _events(report, "ScenarioFinished"):
        recorder = event["recorder"]
        for id_, case in recorder.get("cases", {}).items():
            if case["is_transition_applied"] and (answer := recorder["interactions"].get(id_)):
                link = case["transition"]["id"]
                answers[_operation(link)].add(answer["response"]["status_code"])
    return answers


def _operation(link: str) -> str:
    """Of ``POST /one -> [201] name -> GET /other`` the name, which is the other's operation."""
    return link.split(" -> ")[1].split()[1]


def _events(report: Path, kind: str) -> Iterator[dict[str, Any]]:
    for line in report.read_text().splitlines():
        event = json.loads(line)
        if kind in event:
            yield event[kind]
