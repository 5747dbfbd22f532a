"""The rollout: which owners may register videos, and what must hold before more of them may.

The stages are steps of a share of the owners. At 0 % only the owners on the list may register
videos; at 100 % everybody may. An owner on the list always may. The database decides which owners
belong to a share (`khronika_enrolled`, migration 0023).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

STEPS = (0, 1, 5, 25, 50, 100)
"""Shares of the owners, in percent. Each step shows at most 5 times as many owners, but the first
two, a new fault."""

READY_SHARE = 0.95


@dataclass(frozen=True)
class Counts:
    """Counts of what has happened, since the first start or within a stage.

    Attributes:
        completed: Times that a video completed.
        failed: Times that a video failed for a reason that is not its file's and not its owner's.
        callbacks: Callbacks of providers that were applied.
        missed: Results that a poll found because their callback had not come.
        ready: Completed videos by the time from create to completed: the upper bound of the bucket
            in seconds, as text so that it is JSON, and the count in that bucket alone.
    """

    completed: int = 0
    failed: int = 0
    callbacks: int = 0
    missed: int = 0
    ready: Mapping[str, int] | None = None

    def since(self, earlier: "Counts") -> "Counts":
        """Return what has happened after an earlier count."""
        before = earlier.ready or {}
        ready = {bound: n - before.get(bound, 0) for bound, n in (self.ready or {}).items()}
        return Counts(
            self.completed - earlier.completed,
            self.failed - earlier.failed,
            self.callbacks - earlier.callbacks,
            self.missed - earlier.missed,
            ready,
        )

    @property
    def ended(self) -> int:
        """Videos that completed or failed."""
        return self.completed + self.failed

    @property
    def failure_rate(self) -> float:
        """Share of the ended videos that failed, 0 to 1."""
        return self.failed / max(self.ended, 1)

    @property
    def missed_rate(self) -> float:
        """Share of the results whose callback did not come, 0 to 1."""
        return self.missed / max(self.callbacks + self.missed, 1)

    @property
    def ready_sec(self) -> float | None:
        """Time within which 95 % of the videos were ready; None if none was.

        It is the upper bound of a bucket, so that it is never too small.
        """
        ready = sorted((float(bound), n) for bound, n in (self.ready or {}).items())
        total, passed = sum(n for _, n in ready), 0
        for bound, n in ready:
            passed += n
            if total and passed >= READY_SHARE * total:
                return bound
        return None


@dataclass(frozen=True)
class Drill:
    """The last fallback drill: MP4 files of published videos, fetched as a player does.

    Attributes:
        files: Files that were fetched.
        broken: Files among them that do not play.
    """

    at: datetime
    files: int
    broken: int


@dataclass(frozen=True)
class Requirements:
    """Requirements of a stage before the next may begin.

    Attributes:
        videos: Least number of videos that ended in this stage.
        failure_rate: Highest share of them that failed, 0 to 1.
        missed_rate: Highest share of results whose callback did not come, 0 to 1.
        ready_sec: Longest time within which 95 % were ready.
        drill_age: Greatest age of the last fallback drill.
    """

    videos: int
    failure_rate: float
    missed_rate: float
    ready_sec: float
    drill_age: timedelta


@dataclass(frozen=True)
class Requirement:
    """One requirement, and what the stage has shown.

    Attributes:
        name: Machine-readable name, stable.
        sentence: What is required and what there is, for a person.
    """

    name: str
    is_met: bool
    sentence: str


def examine(
    counts: Counts, drill: Drill | None, required: Requirements, now: datetime
) -> tuple[Requirement, ...]:
    """Compare what a stage has shown with what is required of it."""
    return (
        Requirement(
            "videos",
            counts.ended >= required.videos,
            f"{counts.ended} videos have ended; at least {required.videos} must.",
        ),
        Requirement(
            "callbacks",
            counts.callbacks > 0,
            f"{counts.callbacks} callbacks were applied; at least 1 must be.",
        ),
        Requirement(
            "failure_rate",
            counts.failure_rate <= required.failure_rate,
            f"{counts.failure_rate:.1%} failed; at most {required.failure_rate:.1%} may.",
        ),
        Requirement(
            "callback_missed",
            counts.missed_rate <= required.missed_rate,
            f"{counts.missed_rate:.1%} of the callbacks did not come; "
            f"at most {required.missed_rate:.1%} may be missed.",
        ),
        _speed(counts.ready_sec, required.ready_sec),
        _drill(drill, required.drill_age, now),
    )


def _speed(ready_sec: float | None, most_sec: float) -> Requirement:
    found = "No video is ready yet" if ready_sec is None else f"95 % are ready in {ready_sec:g} s"
    is_met = ready_sec is not None and ready_sec <= most_sec
    return Requirement("ready_p95", is_met, f"{found}; at most {most_sec:g} s are allowed.")


def _drill(drill: Drill | None, most: timedelta, now: datetime) -> Requirement:
    hours = most / timedelta(hours=1)
    if drill is None:
        sentence = "No fallback drill was done in this stage: run `khronika rollout drill`."
        return Requirement("fallback_drill", is_met=False, sentence=sentence)
    is_met = bool(drill.files) and not drill.broken and now - drill.at <= most
    return Requirement(
        "fallback_drill",
        is_met,
        f"{drill.broken} of {drill.files} fallback files were broken at {drill.at:%Y-%m-%d %H:%M} "
        f"UTC; none may be, and the drill may be {hours:g} hours old.",
    )


def next_step(percent: int) -> int | None:
    """Return the next greater share; None at 100 %."""
    return next((step for step in STEPS if step > percent), None)


def previous_step(percent: int) -> int | None:
    """Return the next smaller share; None at 0 %."""
    return next((step for step in reversed(STEPS) if step < percent), None)


def name_of(percent: int) -> str:
    """Return the name of a stage, for people and programs."""
    return {0: "listed owners", 100: "all owners"}.get(percent, f"{percent} % of owners")
