"""What must hold after any run, whatever was done to the system: all of it, by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.evidence import Evidence
from tests.chaos.invariants import assets, callbacks, chronicle, jobs
from tests.chaos.invariants.finding import Finding, Violation

__all__ = ["INVARIANTS", "Finding", "Verdict", "Violation", "judge"]

Invariant = Callable[[Evidence], Finding]

INVARIANTS: Mapping[str, Invariant] = {
    "every acknowledged create exists, once": assets.acknowledged_creates_exist_once,
    "every asset reached a terminal state": assets.all_are_terminal,
    "what completed is published and passed the gate": assets.completed_is_playable,
    "every acknowledged deed of an owner is in the chronicle": assets.deeds_are_recorded,
    "recovered within the stated bound": assets.recovered_in_time,
    "at most one provider job per attempt": jobs.one_job_per_attempt,
    "earlier job released before the next is submitted": jobs.released_before_the_next,
    "no provider job is orphaned": jobs.none_orphaned,
    "every release owed to the provider is paid": jobs.owed_releases_are_paid,
    "seq is gap-free, time runs forward": chronicle.numbered_without_gap,
    "status history is legal and chained": chronicle.history_is_legal,
    "every rise of the lease token has its event": chronicle.tokens_are_accounted_for,
    "no write by a stale token": chronicle.holders_write_alone,
    "every callback answered 202 is in the inbox": callbacks.acknowledged_are_stored,
    "every stored callback is settled": callbacks.all_are_settled,
    "no callback is applied twice": callbacks.applied_once,
    "repetitions are answered 200": callbacks.repetitions_are_recognised,
    "forged and stale callbacks never get in": callbacks.forgeries_stay_out,
}
"""By the sentence that stands in the report."""


@dataclass(frozen=True)
class Verdict:
    """What one invariant came to."""

    name: str
    checked: int
    violations: Sequence[Violation]


def judge(evidence: Evidence) -> list[Verdict]:
    """Hold the evidence against every invariant."""
    verdicts = []
    for name, invariant in INVARIANTS.items():
        finding = invariant(evidence)
        verdicts.append(Verdict(name, finding.checked, tuple(finding.violations)))
    return verdicts
