"""The stages of the rollout, and what one must show before the next."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.domain.rollout import (
    STEPS,
    Counts,
    Drill,
    Requirements,
    examine,
    next_step,
    previous_step,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
REQUIRED = Requirements(
    videos=20, failure_rate=0.05, missed_rate=0.1, ready_sec=60, drill_age=timedelta(hours=24)
)
GOOD = Counts(completed=19, failed=1, callbacks=18, missed=2, ready={"10.0": 15, "60.0": 4})
DRILL = Drill(NOW - timedelta(hours=23), files=5, broken=0)


def unmet(counts: Counts, drill: Drill | None = DRILL) -> list[str]:
    return [each.name for each in examine(counts, drill, REQUIRED, NOW) if not each.is_met]


def test_a_stage_at_its_limits_meets_every_requirement() -> None:
    assert unmet(GOOD) == []


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"completed": 18}, "videos"),
        ({"callbacks": 0, "missed": 0}, "callbacks"),
        ({"failed": 2}, "failure_rate"),
        ({"missed": 3}, "callback_missed"),
        ({"ready": {"60.0": 94, "120.0": 6}}, "ready_p95"),
        ({"ready": {}}, "ready_p95"),
    ],
    ids=["few videos", "no callback", "failures", "missed callbacks", "slow", "none ready"],
)
def test_each_requirement_holds_the_stage_back_alone(changed: dict[str, object], name: str) -> None:
    assert name in unmet(replace(GOOD, **changed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "drill",
    [
        None,
        replace(DRILL, at=NOW - timedelta(hours=25)),
        replace(DRILL, broken=1),
        replace(DRILL, files=0),
    ],
    ids=["none", "old", "a broken file", "no file"],
)
def test_a_stage_needs_a_fresh_drill_in_which_every_file_played(drill: Drill | None) -> None:
    assert unmet(GOOD, drill) == ["fallback_drill"]


def test_a_stage_counts_only_what_happened_in_it() -> None:
    earlier = Counts(completed=100, failed=50, callbacks=90, missed=9, ready={"10.0": 100})
    later = Counts(
        completed=119, failed=51, callbacks=108, missed=11, ready={"10.0": 115, "60.0": 4}
    )
    assert later.since(earlier) == GOOD


def test_the_steps_lead_up_and_down_between_the_list_and_everybody() -> None:
    up = [next_step(step) for step in STEPS]
    assert up == [*STEPS[1:], None]
    assert [previous_step(step) for step in STEPS] == [None, *STEPS[:-1]]
    assert next_step(30) == 50
    assert previous_step(30) == 25
